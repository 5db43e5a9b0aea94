import {Flags} from '@oclif/core'
import {BaseCommand} from '../../base-command.js'
import {snapshotArgs, storeFlags} from '../../flags.js'
import type {ShownSnapshot} from '../../lib/snapshots/show-snapshot.js'
import {openOperator} from '../../operator.js'
import {describeDiffering} from '../../ui/describe-differences.js'
import {describeLargest, describeSnapshot} from '../../ui/describe-snapshot.js'

export default class SnapshotShow extends BaseCommand {
  static override summary = 'Show one snapshot: where it is from, what it holds, what it takes.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> latest',
    '<%= config.bin %> <%= command.id %> latest:train-a --largest 10',
    '<%= config.bin %> <%= command.id %> 20261123T1402 --json',
  ]

  static override usage = '<%= command.id %> ID [flags]'

  static override args = snapshotArgs

  static override flags = {
    largest: Flags.integer({
      default: 0,
      helpValue: 'N',
      max: 10_000,
      min: 0,
      summary: 'name its N largest files',
    }),
    ...storeFlags,
  }

  async run(): Promise<ShownSnapshot> {
    const {args, flags} = await this.parse(SnapshotShow)
    const operator = await openOperator(this, flags, {hosts: [], steps: []})
    const {showSnapshot} = await import('../../lib/snapshots/show-snapshot.js')
    const request = {largest: flags.largest, snapshot: args.id}
    const shown = await operator.use((service) => showSnapshot(request, service, this.signal))
    this.finish(
      [
        describeSnapshot(shown.manifest),
        ...describeDiffering(shown.differing),
        ...describeLargest(shown.largest),
      ].join('\n'),
      false,
    )
    return shown
  }
}
