import {resolve} from 'node:path'
import {Flags} from '@oclif/core'
import {BaseCommand} from '../../base-command.js'
import {storeFlags} from '../../flags.js'
import {DumontError} from '../../lib/errors.js'
import type {NewKey} from '../../lib/keys/add-slot.js'
import {openOperator} from '../../operator.js'
import {canAsk, recoveryKeeping} from '../../unlocking.js'

export default class KeyAdd extends BaseCommand {
  static override summary = 'Add a way to open the store.'

  static override description = `A passphrase, a recovery text that is shown once, or a key file for another machine or a script. The others stay as they
are. A label is stored in the open, so it should not say more than you would tell whoever reads the bucket.`

  static override examples = [
    '<%= config.bin %> <%= command.id %> --recovery',
    '<%= config.bin %> <%= command.id %> --passphrase --label "the team"',
    'pass dumont | <%= config.bin %> <%= command.id %> --passphrase-from -',
    '<%= config.bin %> <%= command.id %> --file ci.key --label ci',
  ]

  static override usage =
    '<%= command.id %> --passphrase | --recovery | --file PATH [--label TEXT] [flags]'

  static override flags = {
    passphrase: Flags.boolean({default: false, summary: 'a passphrase, typed twice'}),
    'passphrase-from': Flags.string({
      helpValue: 'FILE',
      summary: 'a passphrase: the first line of this file; - for stdin',
    }),
    recovery: Flags.boolean({
      default: false,
      summary: 'a recovery text, shown once and confirmed by typing two of its groups',
    }),
    'recovery-file': Flags.string({
      helpValue: 'FILE',
      summary: 'a recovery text, written into this new file',
    }),
    file: Flags.string({helpValue: 'PATH', summary: 'a key file, made here'}),
    label: Flags.string({default: '', helpValue: 'TEXT', summary: 'what to call it'}),
    ...storeFlags,
  }

  async run(): Promise<{readonly slot: string; readonly kind: string}> {
    const {flags} = await this.parse(KeyAdd)
    const kind = this.kindOf(flags)
    if (flags.label.length > MOST_LABEL)
      throw new DumontError('USAGE', `--label is longer than ${MOST_LABEL} characters`)
    const operator = await openOperator(this, flags, {closed: true, hosts: [], steps: []})
    const {openKeysOf} = await import('../../lib/keys/opened-keys.js')
    const {addSlot} = await import('../../lib/keys/add-slot.js')
    const {addRecovery} = await import('../../lib/keys/recovery.js')
    const {keyPlace, whileAsking} = operator
    const slot = await operator.use(async ({store}) => {
      const opened = await openKeysOf(store, keyPlace, this.signal)
      const {label} = flags
      if (kind !== 'recovery') {
        const key = await this.newKey(flags, whileAsking)
        return addSlot(opened, key, label, this.signal)
      }
      const keeping = recoveryKeeping(this, flags, operator)
      if (!keeping)
        throw new DumontError('USAGE', 'there is no terminal to show a recovery text on', {
          hint: 'name a file for it: --recovery-file PATH',
        })
      const {keyring} = opened.unlocked
      return addRecovery(store, keyPlace.random, {keeping, keyring, label}, this.signal)
    })
    if (slot === undefined)
      throw new DumontError('USAGE', 'the recovery text was not confirmed, so it opens nothing')
    this.finish(this.isQuiet ? slot : `${kind} ${slot} opens the store from now on`, false)
    return {kind, slot}
  }

  private kindOf(flags: Wanted): 'recovery' | NewKey['kind'] {
    const {file, passphrase, recovery} = flags
    const kinds = [
      ...(passphrase || flags['passphrase-from'] !== undefined ? ['passphrase' as const] : []),
      ...(recovery || flags['recovery-file'] !== undefined ? ['recovery' as const] : []),
      ...(file === undefined ? [] : ['file' as const]),
    ]
    const [kind] = kinds
    if (kind && kinds.length === 1) return kind
    throw new DumontError('USAGE', kind ? 'one key at a time' : 'no kind of key is named', {
      hint: 'give one of --passphrase, --recovery and --file PATH',
    })
  }

  private async newKey(
    flags: Wanted,
    whileAsking: <T>(ask: () => Promise<T>) => Promise<T>,
  ): Promise<NewKey> {
    if (flags.file !== undefined) return {file: resolve(flags.file), kind: 'file'}
    const from = flags['passphrase-from']
    if (from !== undefined) {
      const {readPassphrase} = await import('../../lib/keys/read-passphrase.js')
      return {kind: 'passphrase', text: await readPassphrase(from, process.stdin)}
    }
    if (!canAsk(this))
      throw new DumontError('USAGE', 'there is no terminal to type a passphrase on', {
        hint: 'give --passphrase-from FILE, or - for stdin',
      })
    const {askNewPassphrase} = await import('../../ui/key-questions.js')
    const text = await whileAsking(() => askNewPassphrase(this.signal))
    if (text === undefined) throw new DumontError('USAGE', 'no passphrase was given')
    return {kind: 'passphrase', text}
  }
}

interface Wanted {
  readonly file?: string | undefined
  readonly passphrase: boolean
  readonly 'passphrase-from'?: string | undefined
  readonly recovery: boolean
  readonly 'recovery-file'?: string | undefined
}

const MOST_LABEL = 100
