import {createHash} from 'node:crypto'
import {mkdir, open, readFile, stat, type FileHandle} from 'node:fs/promises'
import {dirname} from 'node:path'
import {writeWhole} from './state-file.js'

/**
 * A file of lines that is only appended to, each with a checksum of its own: what a crash cut off, or anything else damaged,
 * counts as never written.
 */
export interface CheckedLines {
  /** Adds a value; false when the file is full and it was not kept. */
  add(value: unknown): Promise<boolean>
  close(): Promise<void>
}

/** Bytes. A file that is larger was not written here. */
const LARGEST = 64 * 1024 * 1024

/** The values of the lines that are whole, oldest first; none when there is no such file, or one that is too large. */
export async function readCheckedLines(path: string): Promise<unknown[]> {
  try {
    if ((await stat(path)).size > LARGEST) return []
    return (await readFile(path, 'utf8')).split('\n').flatMap(parse)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Whether it is time to leave something out. */
export async function isHalfFull(path: string): Promise<boolean> {
  try {
    return (await stat(path)).size > LARGEST / 2
  } catch {
    return false
  }
}

/** Opens the file for adding; `kept` replaces what is in it, where given: the last of it, so that there is room for more. */
export async function openCheckedLines(
  path: string,
  kept?: readonly unknown[],
): Promise<CheckedLines> {
  if (kept) await writeWhole(path, lastOf(kept.map(lineOf)).join(''))
  else await mkdir(dirname(path), {mode: 0o700, recursive: true})
  const file: FileHandle = await open(path, 'a', 0o600)
  let {size} = await file.stat()
  // The last line may have been cut off in the middle.
  if (size > 0) await file.appendFile('\n')
  return {
    async add(value) {
      const line = lineOf(value)
      if (size + line.length > LARGEST) return false
      size += line.length
      await file.appendFile(line)
      return true
    },
    close: () => file.close(),
  }
}

function lastOf(lines: readonly string[]): readonly string[] {
  let size = 0
  const from = lines.findLastIndex((line) => (size += line.length) > LARGEST / 2)
  return lines.slice(from + 1)
}

function lineOf(value: unknown): string {
  const json = JSON.stringify(value)
  return `${sumOf(json)} ${json}\n`
}

function parse(line: string): unknown[] {
  const json = line.slice(17)
  if (json === '' || line.slice(0, 16) !== sumOf(json)) return []
  try {
    return [JSON.parse(json)]
  } catch {
    return []
  }
}

function sumOf(json: string): string {
  return createHash('sha256').update(json).digest('hex').slice(0, 16)
}
