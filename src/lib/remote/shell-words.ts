import {DumontError} from '../errors.js'

/** Words no POSIX-like shell changes; everything else goes between single quotes. */
const PLAIN = /^[A-Za-z0-9_@%+:,./-]+$/

/** One command line for a login shell that starts exactly this program with these arguments. The only quoting there is. */
export function shellCommand(argv: readonly string[]): string {
  if (argv.length === 0) throw new DumontError('USAGE', 'an empty command cannot be run')
  return argv.map(quoteWord).join(' ')
}

function quoteWord(word: string): string {
  if (word.includes('\0')) throw new DumontError('USAGE', 'a command argument holds a NUL byte')
  if (PLAIN.test(word)) return word
  return `'${word.replaceAll("'", String.raw`'\''`)}'`
}
