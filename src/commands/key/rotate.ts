import {Flags} from '@oclif/core'
import {BaseCommand} from '../../base-command.js'
import {storeFlags} from '../../flags.js'
import {DumontError} from '../../lib/errors.js'
import type {Rotated} from '../../lib/keys/rotate-keys.js'
import {openOperator} from '../../operator.js'
import {describeRotation, rotationQuestion} from '../../ui/describe-keys.js'
import {confirmation} from '../../ui/questions.js'
import {recoveryKeeping} from '../../unlocking.js'

export default class KeyRotate extends BaseCommand {
  static override summary = 'Seal with a new master key from now on, and shut out the old slots.'

  static override description = `For when a machine or a key was lost. This machine gets a new key, you a new recovery text, and every old slot is removed,
so other machines need \`dumont key import\` again. What was written before stays readable, for you and for whoever
already had its keys: nothing is sealed anew.`

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --yes --recovery-file recovery.txt',
  ]

  static override usage = '<%= command.id %> [flags]'

  static override flags = {
    yes: Flags.boolean({char: 'y', default: false, summary: 'do not ask'}),
    'recovery-file': Flags.string({
      helpValue: 'FILE',
      summary: 'where to put the new recovery text, instead of asking on the terminal',
    }),
    ...storeFlags,
  }

  async run(): Promise<Rotated> {
    const {flags} = await this.parse(KeyRotate)
    const ask = confirmation(flags.yes, this.jsonEnabled(), this.signal)
    const operator = await openOperator(this, flags, {closed: true, hosts: [], steps: []})
    const recovery = recoveryKeeping(this, flags, operator)
    if (!recovery)
      throw new DumontError('USAGE', 'there is no terminal to show the new recovery text on', {
        hint: 'name a file for it: --recovery-file PATH',
      })
    const {openKeysOf} = await import('../../lib/keys/opened-keys.js')
    const {rotateKeys} = await import('../../lib/keys/rotate-keys.js')
    const rotated = await operator.use(async ({store}) =>
      rotateKeys(
        await openKeysOf(store, operator.keyPlace, this.signal),
        {
          confirm: (doomed) => operator.whileAsking(() => ask(rotationQuestion(doomed))),
          recovery,
        },
        this.signal,
      ),
    )
    if (!rotated)
      throw new DumontError('USAGE', 'nothing was rotated', {hint: 'the keys are as they were'})
    this.finish(describeRotation(rotated), false)
    return rotated
  }
}
