import {randomBytes} from 'node:crypto'
import {constants, type Dirent} from 'node:fs'
import {
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  opendir,
  readdir,
  rename,
  rmdir,
  stat,
  unlink,
} from 'node:fs/promises'
import path from 'node:path'
import {isKey, UNFINISHED} from './keys.js'

/** Removals that may take a folder away between making and using it. */
const MOST_CONFLICTS = 20
const DAY_MS = 24 * 60 * 60 * 1000

/** A file of a run that died: nobody writes one object for a day. */
export async function sweepUnfinished(root: string, nowMs: number): Promise<void> {
  const folder = path.join(root, UNFINISHED)
  const entries = await readdir(folder).catch((error: unknown) =>
    isMissing(error) ? [] : Promise.reject(error),
  )
  for (const name of entries) {
    const file = path.join(folder, name)
    const found = await lstat(file).catch(() => undefined)
    if (found?.isFile() && nowMs - found.mtimeMs > DAY_MS) await unlink(file).catch(ignoreMissing)
  }
}

/** A new file under a name no object has; the caller publishes or discards it. */
export async function createUnfinished(root: string): Promise<{file: string; handle: FileHandle}> {
  const folder = path.join(root, UNFINISHED)
  await makeFolders(folder)
  const file = path.join(folder, randomBytes(12).toString('hex'))
  return {file, handle: await open(file, 'wx', 0o600)}
}

/**
 * Gives a synced file its final name, so that the object is there whole or not at all, also after a power cut.
 * `link` refuses a name that exists, which makes concurrent creations safe; `replace` renames over it.
 */
export async function publish(
  root: string,
  file: string,
  key: string,
  replace: boolean,
): Promise<'created' | 'exists'> {
  const target = path.join(root, key)
  const folder = path.dirname(target)
  // A concurrent removal may take away the folder between the two calls when its last object goes.
  for (let attempt = 1; ; attempt++) {
    try {
      await makeFolders(folder)
      await (replace ? rename(file, target) : link(file, target))
      await syncFolders(root, folder)
      return 'created'
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return 'exists'
      if (!isMissing(error) || attempt === MOST_CONFLICTS) throw error
    }
  }
}

/** Removes an object and the folders it leaves empty. */
export async function removeFile(root: string, key: string): Promise<void> {
  await unlink(path.join(root, key)).catch(ignoreMissing)
  for (let folder = path.dirname(key); folder !== '.'; folder = path.dirname(folder)) {
    const removed = await rmdir(path.join(root, folder)).then(
      () => true,
      () => false,
    )
    if (!removed) return
  }
}

/** Keys below the root that start with the prefix, in key order, reading one folder at a time. */
export async function* walk(
  root: string,
  prefix: string,
  folder = '',
): AsyncGenerator<string, void> {
  const names = await namesIn(path.join(root, folder))
  for (const name of names) {
    const below = folder + name
    if (
      below.endsWith('/')
        ? below.startsWith(prefix) || prefix.startsWith(below)
        : below.startsWith(prefix)
    ) {
      if (below.endsWith('/')) yield* walk(root, prefix, below)
      else if (isKey(below)) yield below
    }
  }
}

/** Opens an object for reading; never through a symbolic link, which no object is. */
export function openObject(root: string, key: string): Promise<FileHandle> {
  return open(path.join(root, key), constants.O_RDONLY | constants.O_NOFOLLOW)
}

/** The clock of the file system, which on a network mount is not this machine's; undefined where nothing can be written. */
export async function fileSystemClock(root: string): Promise<number | undefined> {
  const exists = await stat(root).catch(() => undefined)
  if (!exists) return undefined
  const created = await createUnfinished(root).catch(() => undefined)
  if (!created) return undefined
  try {
    return (await created.handle.stat()).mtimeMs
  } finally {
    await created.handle.close()
    await unlink(created.file).catch(ignoreMissing)
  }
}

export function isMissing(error: unknown): boolean {
  return hasCode(error, 'ENOENT')
}

export function hasCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === code
}

export function ignoreMissing(error: unknown): void {
  if (!isMissing(error)) throw error
}

/** Folders carry a slash, so that sorting names sorts keys: `a.b` comes before `a/c`. */
async function namesIn(folder: string): Promise<string[]> {
  const names: string[] = []
  try {
    for await (const entry of await opendir(folder)) {
      const name = nameOf(entry)
      if (name !== undefined) names.push(name)
    }
  } catch (error) {
    ignoreMissing(error)
  }
  return names.toSorted((one, other) => (one < other ? -1 : 1))
}

function nameOf(entry: Dirent): string | undefined {
  if (entry.isDirectory()) return `${entry.name}/`
  return entry.isFile() ? entry.name : undefined
}

async function makeFolders(folder: string): Promise<void> {
  const first = await mkdir(folder, {recursive: true, mode: 0o700})
  if (first !== undefined) await syncFolders(path.dirname(first), folder)
}

/** From the inner to the outer one: a name survives a power cut only if all folders above it do. */
async function syncFolders(outer: string, inner: string): Promise<void> {
  for (let folder = inner; folder.length >= outer.length; folder = path.dirname(folder)) {
    const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
    if (folder === path.dirname(folder)) return
  }
}
