import {Errors, type Hook} from '@oclif/core'
import {EXIT} from '../lib/errors.js'
import {describeFailure} from '../ui/describe-failure.js'
import {unknownCommand} from '../unknown-command.js'

/** oclif would only say `command snapshot:lst not found`. */
const commandNotFound: Hook.CommandNotFound = async ({argv = [], config, id}) => {
  const {code, hint, message, retry} = unknownCommand(id, config.commandIDs)
  const isStream = argv.includes('--json-stream')
  if (isStream || argv.includes('--json')) {
    const error = {code, message, hint, retry}
    const document = isStream ? {type: 'error', error} : {error}
    process.stdout.write(`${JSON.stringify(document, undefined, isStream ? 0 : 2)}\n`)
  } else process.stderr.write(describeFailure({hint, message}))
  throw new Errors.ExitError(EXIT.usage)
}

// oxlint-disable-next-line import/no-default-export -- oclif loads it by that
export default commandNotFound
