import {randomBytes} from 'node:crypto'
import {chmod, mkdir, open, rename, rm} from 'node:fs/promises'
import path from 'node:path'
import {DumontError} from '../errors.js'
import {parseSecretText, secretText} from '../seal/secret-text.js'
import {type KeyFile, readKeyFile} from '../settings/key-file.js'

/** Where this machine keeps its key to one store. */
export function keyFileOf(directory: string, repository: string): string {
  return path.join(directory, `${repository}.key`)
}

/** The 32 bytes of a key file; undefined when it is not there. KEY when others can read it or it holds no key. */
export async function readSecretFile(file: string): Promise<Buffer | undefined> {
  const found = await readKeyFile(file)
  if (!found) return undefined
  const {text} = closedToOthers(file, found)
  const secret = parseSecretText(text)
  if (secret) return secret
  throw new DumontError('KEY', `${file} holds no key of dumont, or one of its letters is wrong`, {
    hint: 'a key is the word dumont-key and eight groups of seven letters and digits',
  })
}

/** The first line of a file for passwords; KEY when it is not there, empty, or others can read it. */
export async function readPassphraseFile(file: string): Promise<string> {
  const found = await readKeyFile(file)
  if (!found) throw new DumontError('KEY', `${file} with the passphrase is not there`)
  const [line = ''] = closedToOthers(file, found).text.split(/\r?\n/)
  if (line !== '') return line
  throw new DumontError('KEY', `${file} holds no passphrase`)
}

function closedToOthers(file: string, found: KeyFile): KeyFile {
  if ((found.mode & 0o077) === 0) return found
  throw new DumontError('KEY', `${file} can be read by others on this machine`, {
    hint: `chmod 600 ${file}`,
  })
}

/** Writes a key down for its owner alone; it is on the disk when this resolves. Refuses (TARGET_UNWRITABLE) a file that is there. */
export async function writeSecretFile(file: string, secret: Uint8Array): Promise<void> {
  await durably(file, async () => {
    await draft(file, `${secretText(secret)}\n`)
  })
}

/** The same in one step where another key was. */
export async function replaceSecretFile(file: string, secret: Uint8Array): Promise<void> {
  await replaceText(file, `${secretText(secret)}\n`)
}

/** Replaces a small file of its owner's alone, in one step and for good. */
export async function replaceText(file: string, text: string): Promise<void> {
  const beside = `${file}.${randomBytes(6).toString('hex')}.tmp`
  await durably(file, async () => {
    try {
      await draft(beside, text)
      await rename(beside, file)
    } finally {
      await rm(beside, {force: true})
    }
  })
}

async function draft(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** So that the new name is on the disk as well. */
export async function flushFolder(file: string): Promise<void> {
  const handle = await open(path.dirname(file))
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Does something to the names in the folder of a file, which is made if need be; TARGET_UNWRITABLE when that fails. */
export async function durably(file: string, write: () => Promise<void>): Promise<void> {
  const folder = path.dirname(file)
  try {
    const made = await mkdir(folder, {mode: 0o700, recursive: true})
    // The umask may have taken from it what its owner needs.
    if (made !== undefined) await chmod(folder, 0o700)
    await write()
    await flushFolder(file)
  } catch (cause) {
    const {code = 'unknown'} = cause as NodeJS.ErrnoException
    if (code === 'EEXIST') throw isThere(file, cause)
    const message = `${file} cannot be written (${code})`
    throw new DumontError('TARGET_UNWRITABLE', message, {cause})
  }
}

export function isThere(file: string, cause?: unknown): DumontError {
  const hint = 'name another file, or move this one away'
  return new DumontError('TARGET_UNWRITABLE', `${file} is there already`, {cause, hint})
}
