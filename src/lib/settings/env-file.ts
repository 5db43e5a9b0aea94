import {readFile, stat} from 'node:fs/promises'
import {DumontError} from '../errors.js'

const LIMIT = 256 * 1024

export interface EnvFile {
  readonly values: Readonly<Record<string, string>>
  /** Others on this machine may read it. */
  readonly isOpen: boolean
}

/** Lines `NAME=value`, taken as they are; blank ones and those that begin with `#` count for nothing. No message shows a value. */
export async function readEnvFile(path: string): Promise<EnvFile> {
  const [{mode, size}, text] = await Promise.all([stat(path), readFile(path, 'utf8')]).catch(
    (cause: NodeJS.ErrnoException) => {
      throw new DumontError('USAGE', `--env-file ${path} cannot be read (${cause.code})`, {cause})
    },
  )
  if (size > LIMIT) throw new DumontError('USAGE', `--env-file ${path} is larger than 256 KiB`)
  const values: Record<string, string> = {}
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.replace(/\r$/, '')
    if (line.trim() === '' || line.startsWith('#')) continue
    const [, name, value] = /^([A-Za-z_]\w*)=(.*)$/su.exec(line) ?? []
    if (name === undefined || value === undefined)
      throw new DumontError('USAGE', `line ${index + 1} of ${path} is no NAME=value`)
    values[name] = value
  }
  return {isOpen: (mode & 0o077) !== 0, values}
}
