import {Flags} from '@oclif/core'
import {BaseCommand} from '../../base-command.js'
import {parseShare, snapshotArgs, storeFlags} from '../../flags.js'
import {EXIT} from '../../lib/errors.js'
import type {VerifyLevel, VerifyResult} from '../../lib/snapshots/verify-snapshot.js'
import {openOperator} from '../../operator.js'
import {describeVerify} from '../../ui/describe-verify.js'

export default class SnapshotVerify extends BaseCommand {
  static override summary = 'Prove that a snapshot is whole in the store.'

  static override description = `Reads the index and recomputes its digests and Merkle root, then looks at every pack. Level listed asks the store for
size and checksum of each; stored reads the packs and checks every chunk's hash; decoded decodes every chunk and compares.
Everything is done on this machine. Damage exits 65 and names the files that cannot come back whole.`

  static override examples = [
    '<%= config.bin %> <%= command.id %> latest',
    '<%= config.bin %> <%= command.id %> latest:train-a --level decoded --sample 5%',
  ]

  static override usage = '<%= command.id %> ID [flags]'

  static override args = snapshotArgs

  static override flags = {
    level: Flags.option({
      default: 'listed',
      options: ['listed', 'stored', 'decoded'] as const satisfies readonly VerifyLevel[],
      summary: 'how far the proof goes',
    })(),
    sample: Flags.string({
      default: '100%',
      helpValue: 'SHARE',
      summary: 'share of the packs that stored and decoded read, drawn anew each time',
    }),
    ...storeFlags,
  }

  async run(): Promise<VerifyResult> {
    const {args, flags} = await this.parse(SnapshotVerify)
    const sample = parseShare(flags.sample)
    const operator = await openOperator(this, flags, {hosts: [], steps: ['verify', 'check-packs']})
    const {verifySnapshot} = await import('../../lib/snapshots/verify-snapshot.js')
    const {findSnapshot} = await import('../../lib/snapshots/find-snapshot.js')
    const result = await operator.use(async (service) => {
      const {manifest} = await findSnapshot({snapshot: args.id}, service, this.signal)
      return verifySnapshot(service, {level: flags.level, manifest, sample}, this.signal)
    })
    this.finish(describeVerify(result), false)
    if (result.damaged.length > 0) process.exitCode = EXIT.integrity
    return result
  }
}
