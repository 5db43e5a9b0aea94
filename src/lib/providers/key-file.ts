import {constants} from 'node:fs'
import {open} from 'node:fs/promises'

const MOST_BYTES = 64 * 1024

export interface KeyFile {
  readonly text: string
  /** Permission bits. */
  readonly mode: number
  /** Numeric id of the owner. */
  readonly owner: number
}

/** Undefined when there is no such file. */
export type ReadKeyFile = (path: string) => Promise<KeyFile | undefined>

/** Reads what was opened and looked at, so that nothing can be put in its place in between. */
export const readKeyFile: ReadKeyFile = async (path) => {
  // Non-blocking: a named pipe would be waited for.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK
  const handle = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw error
  })
  if (!handle) return undefined
  try {
    const {mode, uid} = await handle.stat()
    const {buffer, bytesRead} = await handle.read(Buffer.alloc(MOST_BYTES), 0, MOST_BYTES, 0)
    return {text: buffer.toString('utf8', 0, bytesRead), mode: mode & 0o777, owner: uid}
  } finally {
    await handle.close()
  }
}
