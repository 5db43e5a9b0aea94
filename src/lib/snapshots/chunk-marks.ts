import {createHash} from 'node:crypto'
import type {ChunkRecord} from '../format/chunk-record.js'

const LENGTH = 12

/** Short names of chunks as they lie in a pack, one after the other: whoever has them all was proven with them. */
export function marksOf(chunks: readonly ChunkRecord[]): string {
  return [...new Set(chunks.map(markOf))].toSorted().join('')
}

/** Whether all of these chunks are among the marks. */
export function holdsAll(marks: string, chunks: readonly ChunkRecord[]): boolean {
  const known = new Set(split(marks))
  return chunks.every((chunk) => known.has(markOf(chunk)))
}

export function joinMarks(one: string, other: string): string {
  return [...new Set([...split(one), ...split(other)])].toSorted().join('')
}

/** Of its place, its bytes as stored, and what they decode to: nothing else is proven of it. */
function markOf({at, frameHash, rawHash, rawLength, stored}: ChunkRecord): string {
  const named = [at, stored, frameHash, rawLength, rawHash].join(' ')
  return createHash('sha256').update(named).digest('base64url').slice(0, LENGTH)
}

function split(marks: string): string[] {
  return marks.match(/.{12}/gs) ?? []
}
