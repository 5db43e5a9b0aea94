import {link, lstat, rename, rm} from 'node:fs/promises'
import {DumontError} from '../errors.js'
import {parseSecretText} from '../seal/secret-text.js'
import {readKeyFile} from '../settings/key-file.js'
import {durably, flushFolder, isThere, readSecretFile, writeSecretFile} from './secret-file.js'

/** A key on its way into a file of its own. */
export interface SecretDraft {
  readonly bytes: Uint8Array
  /** An earlier command was cut short between writing it down and here; its slot may be in the store. */
  readonly wasBegun: boolean
  /** Gives the file its name: to be called once its slot is in the store. */
  readonly publish: () => Promise<void>
}

/**
 * Writes a key down beside the file it is for, under a name that says that it is unfinished: whatever bears the name that was asked
 * for opens the store. Goes on with what an earlier command left there. TARGET_UNWRITABLE for a file that is there.
 */
export async function draftSecret(
  file: string,
  repository: string,
  random: (count: number) => Uint8Array,
): Promise<SecretDraft> {
  const draft = draftOf(file, repository)
  const begun = await readDraft(draft)
  // One that was published already, before the command was cut short, may stay.
  if ((await exists(file)) && !(begun && (await holds(file, begun)))) throw isThere(file)
  const bytes = begun ?? random(32)
  if (!begun) await writeSecretFile(draft, bytes)
  return {bytes, publish: () => publish(draft, file, bytes), wasBegun: begun !== undefined}
}

/** Whether an earlier command has left an unfinished file for this store. */
export async function isBegun(file: string, repository: string): Promise<boolean> {
  return exists(draftOf(file, repository))
}

/** Takes its name from a file whose slot was taken back. */
export async function unpublish(file: string, repository: string): Promise<void> {
  await durably(file, () => rename(file, draftOf(file, repository)))
}

function draftOf(file: string, repository: string): string {
  return `${file}.${repository.slice(0, 8)}.unfinished`
}

/** What was cut short while it was written holds nothing that any slot was made for. */
async function readDraft(draft: string): Promise<Buffer | undefined> {
  const found = await readKeyFile(draft)
  if (found && !parseSecretText(found.text)) await rm(draft)
  else if (found) return readSecretFile(draft)
  return undefined
}

async function publish(draft: string, file: string, bytes: Uint8Array): Promise<void> {
  await durably(file, async () => {
    try {
      // Unlike a renaming, over no other file.
      await link(draft, file)
    } catch (error) {
      const {code = ''} = error as NodeJS.ErrnoException
      if (NO_LINKS.has(code)) return rename(draft, file)
      if (code !== 'EEXIST' || !(await holds(file, bytes))) throw error
    }
    await flushFolder(file)
    await rm(draft)
  })
}

async function holds(file: string, secret: Uint8Array): Promise<boolean> {
  const found = await readSecretFile(file).catch(() => undefined)
  return found?.equals(secret) ?? false
}

/** What file systems of memory sticks and network shares say. */
const NO_LINKS = new Set(['ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EPERM'])

async function exists(file: string): Promise<boolean> {
  try {
    await lstat(file)
    return true
  } catch (cause) {
    const {code = 'unknown'} = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return false
    throw new DumontError('TARGET_UNWRITABLE', `${file} cannot be looked at (${code})`, {cause})
  }
}
