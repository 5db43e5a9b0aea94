import {hash} from 'node:crypto'
import type {Entry} from './entry.js'
import {nodeOf} from './entry-leaf.js'
import {damaged} from './integrity.js'

const LINKABLE = new Set(['block', 'char', 'fifo', 'file', 'symlink'])

/** Refuses hard links to entries that did not come before them, or that differ from them in anything. */
export class LinkGroups {
  /** Digests of all entries that a link may name: half a hash each, so that a million stay small. */
  readonly #members = new Set<string>()

  /** `node` is the entry's node in the Merkle tree. */
  take(entry: Entry, node: Buffer): void {
    if (entry.link) {
      const {path, root} = entry.link
      if (!this.#members.has(digest(entry, nodeOf({...entry, link: undefined, path, root}))))
        throw damaged('a hard link to a member that does not stand before it as its like')
    } else if (LINKABLE.has(entry.kind)) {
      this.#members.add(digest(entry, node))
    }
  }
}

/** The node holds all of an entry but its extents. */
function digest({extents}: Entry, node: Buffer): string {
  if (extents.length === 0) return node.toString('latin1', 0, 16)
  const numbers = new Float64Array(4 * (1 + extents.length))
  Buffer.from(numbers.buffer).set(node)
  let at = 4
  for (const {at: start, chunk, length, offset} of extents) {
    numbers[at++] = offset
    numbers[at++] = chunk
    numbers[at++] = start
    numbers[at++] = length
  }
  return hash('sha256', numbers, 'buffer').toString('latin1', 0, 16)
}
