import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../base-command.js'
import {parseShare, sshFlags, storeFlags, transferFlags} from '../../flags.js'
import {DumontError, EXIT} from '../../lib/errors.js'
import type {Choice} from '../../lib/snapshots/choose-packs.js'
import type {VerifyLevel} from '../../lib/snapshots/verify-snapshot.js'
import {openOperator} from '../../operator.js'
import {
  describeVerify,
  isDamaged,
  verifyAnswer,
  type VerifyAnswer,
} from '../../ui/describe-verify.js'

export default class SnapshotVerify extends BaseCommand {
  static override summary = 'Prove that snapshots are whole in the store.'

  static override description = `Reads the index and recomputes its digests and Merkle root, then looks at every pack. Level listed asks the store for
size and checksum of each; stored reads the packs and checks every chunk's hash; decoded decodes every chunk and compares.
Everything is done on this machine, unless --host lets a box read the packs: then it is the box that says so. With --all, what several snapshots share is read once. Interrupted, the same command
continues. Damage exits 65 and names the files that cannot come back whole.`

  static override examples = [
    '<%= config.bin %> <%= command.id %> latest',
    '<%= config.bin %> <%= command.id %> latest:train-a --level decoded --sample 5%',
    '<%= config.bin %> <%= command.id %> --all --level stored --cover 30',
    '<%= config.bin %> <%= command.id %> latest --level decoded --host root@1.2.3.4:22',
  ]

  static override usage = ['<%= command.id %> ID [flags]', '<%= command.id %> --all [flags]']

  static override args = {
    id: Args.string({description: 'the beginning of an id, latest, or latest:LABEL'}),
  }

  static override flags = {
    all: Flags.boolean({default: false, summary: 'every snapshot in the store'}),
    level: Flags.option({
      default: 'listed',
      options: ['listed', 'stored', 'decoded'] as const satisfies readonly VerifyLevel[],
      summary: 'how far the proof goes',
    })(),
    sample: Flags.string({
      exclusive: ['cover'],
      helpValue: 'SHARE',
      summary: 'share of the packs that stored and decoded read, drawn anew each time',
    }),
    cover: Flags.integer({
      helpValue: 'N',
      max: 10_000,
      min: 1,
      summary: 'read only an N-th, what waited longest, so that N runs read everything',
    }),
    again: Flags.boolean({
      default: false,
      summary: 'do not continue an interrupted run, begin anew',
    }),
    host: Flags.string({
      helpValue: 'HOST',
      summary: 'a box that reads the packs instead of this machine: its word, not a proof',
    }),
    ...transferFlags,
    ...sshFlags,
    ...storeFlags,
  }

  async run(): Promise<VerifyAnswer> {
    const {args, flags} = await this.parse(SnapshotVerify)
    const {all, again, level} = flags
    if (all === (args.id !== undefined))
      throw new DumontError('USAGE', 'say which snapshot, or --all', {
        hint: 'dumont snapshot verify latest',
      })
    const choice = choiceOf(flags)
    const {host} = flags
    if (host !== undefined && level === 'listed')
      throw new DumontError('USAGE', '--host reads nothing at level listed', {
        hint: 'add --level stored or --level decoded',
      })
    const operator = await openOperator(this, flags, {
      hosts: [],
      steps:
        host === undefined
          ? ['verify', 'check-packs']
          : ['connect', 'equip', 'verify', 'check-packs'],
    })
    const {verifySnapshots} = await import('../../lib/snapshots/verify-snapshots.js')
    const {whatToVerify} = await import('../../lib/snapshots/what-to-verify.js')
    const {verifyByBox} = await import('../../lib/snapshots/verify-by-box.js')
    const result = await operator.use(async (service, settings) => {
      const {repository, ...wanted} = await whatToVerify(args.id, service, this.signal)
      const request = {...wanted, again, choice, level}
      const by = {repository, service}
      if (host === undefined) return verifySnapshots(request, by, this.signal)
      const {memory, parts = PARTS} = settings
      const reading = {host, parts, ...(memory === undefined ? {} : {memory})}
      return verifyByBox({...request, ...reading}, by, this.signal)
    })
    this.finish(describeVerify(result, all), false)
    if (isDamaged(result)) process.exitCode = EXIT.integrity
    return verifyAnswer(result, all)
  }
}

const PARTS = 32

function choiceOf({
  cover,
  sample,
}: {
  readonly cover: number | undefined
  readonly sample: string | undefined
}): Choice {
  if (cover !== undefined) return {kind: 'cover', runs: cover}
  const share = sample === undefined ? 1 : parseShare(sample)
  return share === 1 ? {kind: 'all'} : {kind: 'share', share}
}
