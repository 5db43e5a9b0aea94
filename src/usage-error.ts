import {DumontError} from './lib/errors.js'
import {nearestWord} from './lib/settings/nearest-word.js'

/** What oclif knows of a mistake on the command line, as far as it is used. */
interface ParseFailure extends Error {
  readonly args?: readonly {readonly name: string; readonly description?: string}[]
  readonly flags?: readonly string[]
}

interface Known {
  /** As it is typed: `dumont snapshot list`. */
  readonly command: string
  readonly flags: readonly string[]
}

/** A mistake on the command line in one sentence, and the nearest thing that would have been right. */
export function usageError(failure: ParseFailure, {command, flags}: Known): DumontError {
  const hint = `see \`${command} --help\``
  const [flag] = Array.isArray(failure.flags) ? failure.flags : []
  if (failure.message.startsWith('Nonexistent flag') && flag !== undefined) {
    const near = nearestWord(flag.replace(/^-+/u, ''), flags)
    const meant = near === undefined ? hint : `--${near}, or ${hint}`
    return new DumontError('USAGE', `there is no flag ${flag}`, {hint: meant})
  }
  const [arg] = Array.isArray(failure.args) ? failure.args : []
  if (failure.message.startsWith('Missing') && arg !== undefined) {
    const what = arg.description === undefined ? '' : `: ${arg.description}`
    return new DumontError('USAGE', `${arg.name.toUpperCase()} is missing${what}`, {hint})
  }
  return new DumontError('USAGE', plain(failure.message), {hint})
}

/** oclif's words without their layout. */
function plain(message: string): string {
  return message
    .replace(/\nSee more help with --help\s*$/u, '')
    .replaceAll(/\s+/gu, ' ')
    .replace(/^The following errors? occurred: /u, '')
    .replaceAll(/Missing required flag (\S+)/gu, '--$1 is missing')
    .replace(/^Parsing (--\S+) Expected/u, '$1: expected')
    .trim()
}
