import {resolve} from 'node:path'
import {Flags} from '@oclif/core'
import {BaseCommand} from '../../base-command.js'
import {storeFlags} from '../../flags.js'
import {DumontError} from '../../lib/errors.js'
import {openOperator} from '../../operator.js'
import {confirmation} from '../../ui/questions.js'

export default class KeyExport extends BaseCommand {
  static override summary = 'Show the key of this machine, or copy it into a file.'

  static override description = `Whoever has it can read and write the store. It goes to a terminal after a question, or into a new file for its owner
alone; never into a pipe or JSON.`

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --to dumont.key',
  ]

  static override usage = '<%= command.id %> [flags]'

  static override flags = {
    to: Flags.string({helpValue: 'FILE', summary: 'a new file for it'}),
    ...storeFlags,
  }

  async run(): Promise<{readonly slot: string; readonly file?: string}> {
    const {flags} = await this.parse(KeyExport)
    const {to} = flags
    if (to === undefined && (!process.stdout.isTTY || this.jsonEnabled()))
      throw new DumontError('USAGE', 'a key is shown on a terminal only', {
        hint: 'name a file for it: --to FILE',
      })
    const ask = to === undefined ? confirmation(false, false, this.signal) : undefined
    const operator = await openOperator(this, flags, {closed: true, hosts: [], steps: []})
    const {openKeysOf} = await import('../../lib/keys/opened-keys.js')
    const {writeSecretFile} = await import('../../lib/keys/secret-file.js')
    const {secretText} = await import('../../lib/seal/secret-text.js')
    const {secret, slot} = await operator.use(async ({store}) => {
      const {unlocked} = await openKeysOf(store, operator.keyPlace, this.signal)
      if (unlocked.secret.kind === 'passphrase')
        throw new DumontError('KEY', 'a passphrase opens the store here, and no key file', {
          hint: 'make one: dumont key add --file PATH, or dumont key import for this machine',
        })
      return {secret: unlocked.secret.bytes, slot: unlocked.slot.slot}
    })
    if (to !== undefined) {
      const file = resolve(to)
      await writeSecretFile(file, secret)
      this.finish(`${file} opens the store (slot ${slot})`, false)
      return {file, slot}
    }
    const isSure = await ask?.('Show the key? Whoever sees it can read and write the store.')
    this.finish(isSure ? secretText(secret) : 'nothing is shown', false)
    return {slot}
  }
}
