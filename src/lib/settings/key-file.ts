import {constants} from 'node:fs'
import {type FileHandle, open} from 'node:fs/promises'
import {DumontError} from '../errors.js'

const MOST_BYTES = 64 * 1024

export interface KeyFile {
  readonly text: string
  /** Permission bits. */
  readonly mode: number
}

/** Undefined when there is no such file; CONFIG when it cannot be read. */
export type ReadKeyFile = (path: string) => Promise<KeyFile | undefined>

export const readKeyFile: ReadKeyFile = async (path) => {
  let handle: FileHandle | undefined
  try {
    // Non-blocking: a named pipe would be waited for.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    return await readOpened(handle, path)
  } catch (error) {
    const {code = 'unknown'} = error as {code?: string}
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new DumontError('CONFIG', `${path} cannot be read as a key file: ${code}`, {cause: error})
  } finally {
    await handle?.close()
  }
}

/** Looks at what was opened, so that nothing can be put in its place in between. */
async function readOpened(handle: FileHandle, path: string): Promise<KeyFile> {
  const stats = await handle.stat()
  if (!stats.isFile()) throw Object.assign(new Error(`${path} is no file`), {code: 'no file'})
  const {buffer, bytesRead} = await handle.read(Buffer.alloc(MOST_BYTES), 0, MOST_BYTES, 0)
  return {text: buffer.toString('utf8', 0, bytesRead), mode: stats.mode & 0o777}
}
