import {Flags} from '@oclif/core'
import {BaseCommand} from '../../base-command.js'
import {boxPath} from '../../box-path.js'
import {snapshotArgs, sshFlags, storeFlags, transferFlags} from '../../flags.js'
import type {RestoreOptions} from '../../lib/snapshots/restore-host.js'
import {openOperator} from '../../operator.js'
import {
  deleteQuestion,
  describeRestore,
  restoreAnswer,
  type RestoreAnswer,
} from '../../ui/describe-restore.js'
import {confirmation} from '../../ui/questions.js'

export default class SnapshotRestore extends BaseCommand {
  static override summary = 'Bring a snapshot back, onto one box or several at the same time.'

  static override description = `A snapshot of one directory restores that directory's contents into TARGET; of several, each under its absolute path
below TARGET; without --target, to where they were. Files that are equal already are left alone; others are written beside
and renamed, never in place. Interrupted, the same command continues. One box that fails does not stop the others.
What is damaged in the store costs the files that need it, which are named, and nothing else (exit 65); a damaged index
ends a restore before anything is written, unless --salvage says to use what is left of it.`

  static override examples = [
    '<%= config.bin %> <%= command.id %> latest --host root@1.2.3.4:22',
    '<%= config.bin %> <%= command.id %> latest:train-a --host root@gpu2:2222 --host root@gpu3 --target /workspace',
    '<%= config.bin %> <%= command.id %> 20261123T1402 --host local --target ./back --include "checkpoints/**"',
  ]

  static override usage = '<%= command.id %> ID --host HOST [--host HOST...] [flags]'

  static override args = snapshotArgs

  static override flags = {
    host: Flags.string({
      helpValue: 'HOST',
      multiple: true,
      multipleNonGreedy: true,
      required: true,
      summary: 'a box: user@host:port, a name of ~/.ssh/config, or local',
    }),
    name: Flags.string({helpValue: 'LABEL', summary: 'the label that a plain latest means'}),
    target: Flags.string({
      helpValue: 'DIR',
      summary: 'where to: absolute on a box; with --host local also relative',
    }),
    include: Flags.string({
      helpValue: 'PATTERN',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'only what matches, relative to the root',
    }),
    overwrite: Flags.option({
      default: 'if-changed',
      options: [
        'always',
        'if-changed',
        'never',
      ] as const satisfies readonly RestoreOptions['overwrite'][],
      summary: 'what happens to files that are there',
    })(),
    delete: Flags.boolean({
      default: false,
      summary: 'remove what the snapshot would hold if it had been there; asks first',
    }),
    devices: Flags.boolean({default: false, summary: 'make device nodes too (as root)'}),
    privileges: Flags.boolean({
      default: false,
      summary: 'with --host local: keep setuid, setgid and capabilities (a box always keeps them)',
    }),
    'include-access-files': Flags.boolean({
      default: false,
      summary: 'also what keeps a box reachable: authorized_keys, host keys, vendor agents',
    }),
    salvage: Flags.boolean({
      default: false,
      summary: 'bring back what is proven of a snapshot whose index is damaged, and name the rest',
    }),
    report: Flags.string({
      dependsOn: ['salvage'],
      helpValue: 'FILE',
      summary: 'a new file with a JSON line for each entry that did not come back',
    }),
    'dry-run': Flags.boolean({default: false, summary: 'compare and tell; change nothing'}),
    yes: Flags.boolean({char: 'y', default: false, summary: 'do not ask before --delete removes'}),
    'accept-rollback': Flags.boolean({
      default: false,
      summary:
        'take latest although the store has lost newer snapshots that this machine remembers',
    }),
    ...transferFlags,
    ...sshFlags,
    ...storeFlags,
  }

  async run(): Promise<RestoreAnswer> {
    const {args, flags} = await this.parse(SnapshotRestore)
    const ask = flags.delete
      ? confirmation(flags.yes || flags['dry-run'], this.jsonEnabled(), this.signal)
      : noQuestion
    const operator = await openOperator(this, flags, {
      hosts: flags.host,
      steps: ['open-store', 'connect', 'equip', 'restore'],
    })
    const {exitCodeOfRestore, restoreSnapshot} =
      await import('../../lib/snapshots/restore-snapshot.js')
    const {openLossReport} = await import('../../lib/snapshots/loss-report.js')
    const report = flags.report === undefined ? undefined : openLossReport(flags.report)
    const restored = operator.use((service, settings) => {
      const options: RestoreOptions = {
        confirmDelete: (question) => operator.whileAsking(() => ask(deleteQuestion(question))),
        delete: flags.delete,
        devices: flags.devices,
        dryRun: flags['dry-run'],
        include: flags.include ?? [],
        includeAccessFiles: flags['include-access-files'],
        overwrite: flags.overwrite,
        parts: settings.parts ?? PARTS,
        salvage: flags.salvage,
        ...(report ? {onLost: report.add} : {}),
        ...(flags.privileges ? {privileges: true} : {}),
        ...(settings.memory === undefined ? {} : {memory: settings.memory}),
        ...(flags.target === undefined ? {} : {target: boxPath(flags.target, flags.host)}),
      }
      const request = {
        acceptRollback: flags['accept-rollback'],
        hosts: flags.host,
        options,
        snapshot: args.id,
        ...(flags.name === undefined ? {} : {label: flags.name}),
      }
      return restoreSnapshot(request, service, this.signal)
    })
    const summary = await restored.finally(() => report?.close())
    this.finish(describeRestore(summary), false)
    process.exitCode = exitCodeOfRestore(summary)
    return restoreAnswer(summary)
  }
}

const PARTS = 32
const noQuestion = async (): Promise<boolean> => false
