import {randomBytes} from 'node:crypto'
import {mkdir, open, readdir, readFile, rename} from 'node:fs/promises'
import {dirname} from 'node:path'

/** Replaces a small file of the operator's in one step, readable by its owner only; its directory is made when missing. */
export async function writeWhole(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), {mode: 0o700, recursive: true})
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}

/** The file's text; undefined when there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isAbsence(error)) return undefined
    throw error
  }
}

/** Names in a directory; none when it does not exist. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isAbsence(error)) return []
    throw error
  }
}

function isAbsence(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}
