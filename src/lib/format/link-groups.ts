import {hash} from 'node:crypto'
import type {Entry} from './entry.js'
import {leafOf} from './entry-leaf.js'
import {damaged} from './integrity.js'

const LINKABLE = new Set(['block', 'char', 'fifo', 'file', 'symlink'])

/** Refuses hard links to entries that did not come before them, or that differ from them in anything. */
export class LinkGroups {
  /** Digests of all entries that a link may name: half a hash each, so that a million stay small. */
  readonly #members = new Set<string>()

  take(entry: Entry): void {
    if (entry.link) {
      const {path, root} = entry.link
      if (!this.#members.has(digest({...entry, link: undefined, path, root})))
        throw damaged('a hard link to a member that does not stand before it as its like')
    } else if (LINKABLE.has(entry.kind)) {
      this.#members.add(digest(entry))
    }
  }
}

function digest(entry: Entry): string {
  const extents = entry.extents.map(({at, chunk, length, offset}) => [offset, chunk, at, length])
  const bytes = Buffer.concat([leafOf(entry), Buffer.from(extents.join(), 'latin1')])
  return hash('sha256', bytes, 'buffer').toString('latin1', 0, 16)
}
