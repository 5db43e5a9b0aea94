import {resolve} from 'node:path'
import {DumontError} from '../errors.js'
import {readPassphraseFile} from './secret-file.js'

const LIMIT = 4096

/** The first line of a file that is its owner's alone, or of stdin (`-`). */
export async function readPassphrase(
  from: string,
  stdin: AsyncIterable<Uint8Array | string>,
): Promise<string> {
  if (from !== '-') return readPassphraseFile(resolve(from))
  let text = ''
  for await (const piece of stdin) {
    text += typeof piece === 'string' ? piece : Buffer.from(piece).toString('utf8')
    if (text.length > LIMIT) throw new DumontError('USAGE', 'stdin holds more than a passphrase')
  }
  const [line = ''] = text.split(/\r?\n/)
  if (line === '') throw new DumontError('USAGE', 'stdin holds no passphrase')
  return line
}
