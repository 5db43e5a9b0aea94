import {Flags} from '@oclif/core'
import {BaseCommand} from '../../base-command.js'
import {storeFlags} from '../../flags.js'
import {DumontError} from '../../lib/errors.js'
import type {DeleteResult} from '../../lib/snapshots/delete-snapshot.js'
import {openOperator} from '../../operator.js'
import {describeDelete, questionOf} from '../../ui/describe-delete.js'
import {confirmation} from '../../ui/questions.js'

export default class SnapshotDelete extends BaseCommand {
  static override summary = 'Delete snapshots.'

  static override description = `The snapshots are gone at once. Their space is freed an hour later or after, by the next delete or create, so that a
snapshot that is being taken at the same time loses nothing.`

  static override examples = [
    '<%= config.bin %> <%= command.id %> 20261123T140200Z-k3f7qz',
    '<%= config.bin %> <%= command.id %> 20261101 20261102 --yes',
  ]

  static override strict = false
  static override usage = '<%= command.id %> ID [ID...] [flags]'

  static override flags = {
    yes: Flags.boolean({default: false, char: 'y', summary: 'do not ask'}),
    'release-hold': Flags.boolean({
      default: false,
      summary: 'also what is all that is left of a hibernated instance',
    }),
    ...storeFlags,
  }

  async run(): Promise<DeleteResult> {
    const {argv, flags} = await this.parse(SnapshotDelete)
    const snapshots = argv as string[]
    if (snapshots.length === 0)
      throw new DumontError('USAGE', 'no snapshot is named', {hint: 'see `dumont snapshot list`'})
    const ask = confirmation(flags.yes, this.jsonEnabled(), this.signal)
    const {signal} = this
    const operator = await openOperator(this, flags, {
      hosts: [],
      steps: [],
      writes: true,
    })
    const {deleteSnapshots} = await import('../../lib/snapshots/delete-snapshot.js')
    const {refuseHeld} = await import('../../lib/instances/held-snapshots.js')
    const result = await operator.use((service) =>
      deleteSnapshots(
        {
          async confirm(doomed) {
            const ids = doomed.map(({id}) => id)
            if (!flags['release-hold']) await refuseHeld(service.store, ids, signal)
            return operator.whileAsking(() => ask(questionOf(doomed)))
          },
          snapshots,
        },
        service,
        this.signal,
      ),
    )
    this.finish(describeDelete(result), false)
    return result
  }
}
