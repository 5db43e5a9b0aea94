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
  take(entry: Entry, node: string): void {
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
function digest({extents}: Entry, node: string): string {
  if (extents.length === 0) return half(node)
  const places = extents.map(({at, chunk, length, offset}) => `${offset},${chunk},${at},${length}`)
  return half(hash('sha256', `${node}${places.join()}`, 'binary'))
}

const whole = Buffer.alloc(32)

/** A string of its own: a slice would keep all that it is a slice of. */
function half(text: string): string {
  whole.write(text, 'binary')
  return whole.toString('binary', 0, 16)
}
