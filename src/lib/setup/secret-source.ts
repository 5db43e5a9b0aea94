import {readFile} from 'node:fs/promises'
import {DumontError} from '../errors.js'
import type {Environment} from '../settings/environment.js'

const LIMIT = 4096

/**
 * The secret access key for `dumont init`: from a file, from stdin (`-`), else from the environment; never from the command line, which
 * every user of a machine can read. Undefined when it is nowhere.
 */
export async function findSecret(
  file: string | undefined,
  env: Environment,
  stdin: AsyncIterable<Uint8Array | string>,
): Promise<string | undefined> {
  if (file === undefined) return env['DUMONT_SECRET_ACCESS_KEY'] ?? env['AWS_SECRET_ACCESS_KEY']
  const text = file === '-' ? await readAll(stdin) : await readFrom(file)
  const secret = text.trim()
  if (secret === '')
    throw new DumontError('USAGE', `--secret-access-key-file ${file} holds nothing`)
  return secret
}

async function readFrom(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    throw new DumontError('USAGE', `--secret-access-key-file ${file} cannot be read (${code})`, {
      cause: error,
    })
  }
}

async function readAll(stdin: AsyncIterable<Uint8Array | string>): Promise<string> {
  let text = ''
  for await (const piece of stdin) {
    text += typeof piece === 'string' ? piece : Buffer.from(piece).toString('utf8')
    if (text.length > LIMIT)
      throw new DumontError('USAGE', 'stdin holds more than a secret access key')
  }
  return text
}
