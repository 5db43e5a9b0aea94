import {Flags} from '@oclif/core'
import {BaseCommand} from '../../base-command.js'
import {storeFlags} from '../../flags.js'
import type {Imported} from '../../lib/keys/import-key.js'
import {openOperator} from '../../operator.js'
import {describeImport} from '../../ui/describe-keys.js'

export default class KeyImport extends BaseCommand {
  static override summary = 'Give this machine a key of its own to a store made elsewhere.'

  static override description = `Opens the store once with what is at hand: a key file (--key-file), DUMONT_KEY, DUMONT_PASSPHRASE, or a passphrase or
recovery text typed here. This machine then has its own key and its own slot, so that it can be removed alone.`

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --key-file dumont.key --label laptop',
  ]

  static override usage = '<%= command.id %> [flags]'

  static override flags = {
    label: Flags.string({
      default: '',
      helpValue: 'TEXT',
      summary: 'what to call this machine; stored in the open',
    }),
    ...storeFlags,
  }

  async run(): Promise<Imported> {
    const {flags} = await this.parse(KeyImport)
    const operator = await openOperator(this, flags, {closed: true, hosts: [], steps: []})
    const {openKeysOf} = await import('../../lib/keys/opened-keys.js')
    const {importKey} = await import('../../lib/keys/import-key.js')
    const imported = await operator.use(async ({store}) => {
      const opened = await openKeysOf(store, operator.keyPlace, this.signal)
      return importKey(opened, flags.label, this.signal)
    })
    this.finish(describeImport(imported), false)
    return imported
  }
}
