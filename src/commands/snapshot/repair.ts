import {Flags} from '@oclif/core'
import {BaseCommand} from '../../base-command.js'
import {snapshotArgs, sshFlags, storeFlags, transferFlags} from '../../flags.js'
import {EXIT} from '../../lib/errors.js'
import type {RepairResult, RepairSnapshotRequest} from '../../lib/snapshots/repair-snapshot.js'
import {openOperator} from '../../operator.js'
import {describeRepair} from '../../ui/describe-repair.js'

export default class SnapshotRepair extends BaseCommand {
  static override summary = 'Make again what a snapshot has lost, from its parity.'

  static override description = `Of a snapshot that was taken with --parity N, up to N lost or damaged objects of each group are computed again on a box
and stored under their own names. Nothing that is there is touched unless this machine has itself found it damaged, and
what was made again is read back here and proven. Damage that is left exits 65 and is named; a lock of the bucket that
keeps a damaged object in its place exits 77. Interrupted, run it again.`

  static override examples = [
    '<%= config.bin %> <%= command.id %> latest --host root@1.2.3.4:22',
    '<%= config.bin %> <%= command.id %> latest:train-a --host local --level listed',
  ]

  static override usage = '<%= command.id %> ID --host HOST [flags]'
  static override args = snapshotArgs

  static override flags = {
    host: Flags.string({
      helpValue: 'HOST',
      required: true,
      summary: 'the box that computes: user@host:port, a name of ~/.ssh/config, or local',
    }),
    level: Flags.option({
      default: 'stored',
      options: ['listed', 'stored'] as const satisfies readonly RepairSnapshotRequest['level'][],
      summary:
        'how damage is looked for: by what the store lists, or by reading it all (packs on the box, parity here)',
    })(),
    name: Flags.string({helpValue: 'LABEL', summary: 'the lineage that latest means'}),
    ...transferFlags,
    ...sshFlags,
    ...storeFlags,
  }

  async run(): Promise<RepairResult> {
    const {args, flags} = await this.parse(SnapshotRepair)
    // What was removed to make room must not be missing when nothing came in its place.
    this.graceMs = PUT_BACK_MS
    const operator = await openOperator(this, flags, {
      hosts: [flags.host],
      steps: ['open-store', 'connect', 'equip', 'verify', 'check-packs', 'repair'],
      story: true,
      writes: true,
    })
    const {repairSnapshot} = await import('../../lib/snapshots/repair-snapshot.js')
    const result = await operator.use((service, settings) =>
      repairSnapshot(
        {
          host: flags.host,
          level: flags.level,
          parts: settings.parts ?? PARTS,
          snapshot: args.id,
          ...(settings.memory === undefined ? {} : {memory: settings.memory}),
          ...(flags.name === undefined ? {} : {label: flags.name}),
        },
        service,
        this.signal,
      ),
    )
    this.finish(describeRepair(result), false)
    if (result.damaged.length > 0) process.exitCode = EXIT.integrity
    return result
  }
}

const PARTS = 32
const PUT_BACK_MS = 120_000
