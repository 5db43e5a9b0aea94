import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../base-command.js'
import {storeFlags} from '../../flags.js'
import {openOperator} from '../../operator.js'
import {removalQuestion} from '../../ui/describe-keys.js'
import {confirmation} from '../../ui/questions.js'

export default class KeyRemove extends BaseCommand {
  static override summary = 'Take away one way to open the store.'

  static override description = `The last slot stays. Whoever opened the store with it before may still know its keys: \`dumont key rotate\` shuts them out
of what is written from then on.`

  static override examples = [
    '<%= config.bin %> <%= command.id %> 3f9ac01d22aa9b04',
    '<%= config.bin %> <%= command.id %> 3f9a --yes',
  ]

  static override usage = '<%= command.id %> SLOT [flags]'

  static override args = {
    slot: Args.string({description: 'the beginning of its name, as listed', required: true}),
  }

  static override flags = {
    yes: Flags.boolean({
      char: 'y',
      default: false,
      summary: 'do not ask, not even before the last recovery text',
    }),
    ...storeFlags,
  }

  async run(): Promise<{readonly removed: readonly string[]}> {
    const {args, flags} = await this.parse(KeyRemove)
    const ask = confirmation(flags.yes, this.jsonEnabled(), this.signal)
    const operator = await openOperator(this, flags, {closed: true, hosts: [], steps: []})
    const {openKeysOf} = await import('../../lib/keys/opened-keys.js')
    const {removeSlot} = await import('../../lib/keys/remove-slot.js')
    const removed = await operator.use(async ({store}) =>
      removeSlot(
        await openKeysOf(store, operator.keyPlace, this.signal),
        args.slot,
        (removal) => operator.whileAsking(() => ask(removalQuestion(removal))),
        this.signal,
      ),
    )
    this.finish(removed === undefined ? 'nothing was removed' : `${removed} is removed`, false)
    return {removed: removed === undefined ? [] : [removed]}
  }
}
