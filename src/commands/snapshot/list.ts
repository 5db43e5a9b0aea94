import {Flags} from '@oclif/core'
import {BaseCommand} from '../../base-command.js'
import {storeFlags} from '../../flags.js'
import {openOperator} from '../../operator.js'
import {
  describeList,
  describeUnreadable,
  type ListAnswer,
  listAnswer,
} from '../../ui/describe-list.js'

export default class SnapshotList extends BaseCommand {
  static override summary = 'List the snapshots in the store.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --name train-a --json',
  ]

  static override usage = '<%= command.id %> [flags]'

  static override flags = {
    name: Flags.string({helpValue: 'LABEL', summary: 'only those of this label'}),
    tag: Flags.string({
      helpValue: 'TAG',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'only those that have this tag',
    }),
    ...storeFlags,
  }

  async run(): Promise<ListAnswer> {
    const {flags} = await this.parse(SnapshotList)
    const operator = await openOperator(this, flags, {hosts: [], steps: []})
    const {listSnapshots} = await import('../../lib/snapshots/list-snapshots.js')
    const {tag: tags = [], name: label} = flags
    const wanted = label === undefined ? {tags} : {label, tags}
    const list = await operator.use((service) => listSnapshots(service, wanted, this.signal))
    for (const line of describeUnreadable(list)) this.warnOf(line)
    if (list.snapshots.length === 0) this.say('no snapshots')
    this.finish(
      describeList(
        list.snapshots.map(({manifest}) => manifest),
        process.stdout.isTTY ? process.stdout.columns : undefined,
      ),
      list.unreadable.length > 0,
    )
    return listAnswer(list)
  }
}
