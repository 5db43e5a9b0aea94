import {hash} from 'node:crypto'
import type {Entry} from '../format/entry.js'
import {DumontError} from '../errors.js'

/** What both an index entry and `find` say of one path. */
export interface DiskFacts {
  readonly kind: Entry['kind']
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes; files only. */
  readonly size: number
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint
  /** Latin-1 text; symbolic links only. */
  readonly target: string
}

/** `same` and `other` compare with the entry of this path; `again` is a path that was looked up before. */
export type Found = 'again' | 'none' | 'other' | 'same'

const MOST = 2 ** 27

/**
 * The entries of an index as fixed-size digests, 17 bytes a place, so that a tree of millions can be compared with a listing
 * in any order. Paths are told apart by 64 bits of SHA-256.
 */
export class EntryTable {
  readonly #mask: number
  readonly #keys: BigUint64Array
  readonly #facts: BigUint64Array
  /** 0 empty, 1 entered, 2 looked up. */
  readonly #state: Uint8Array
  #free: number

  /** Room for so many entries. */
  constructor(entries: number) {
    const size = 2 ** Math.ceil(Math.log2(Math.max(16, entries * 1.5)))
    if (size > MOST)
      throw new DumontError(
        'INTEGRITY',
        `a snapshot of ${entries} entries is too large to be proven`,
      )
    this.#mask = size - 1
    this.#free = entries
    this.#keys = new BigUint64Array(size)
    this.#facts = new BigUint64Array(size)
    this.#state = new Uint8Array(size)
  }

  enter(root: number, path: string, facts: DiskFacts): void {
    if (this.#free-- <= 0)
      throw new DumontError('INTEGRITY', 'the index holds more entries than its manifest says')
    const key = keyOf(root, path)
    const place = this.#place(key)
    this.#keys[place] = key
    this.#facts[place] = factsDigest(facts)
    this.#state[place] = 1
  }

  look(root: number, path: string, facts: DiskFacts): Found {
    const place = this.#place(keyOf(root, path))
    if (this.#state[place] === 0) return 'none'
    if (this.#state[place] === 2) return 'again'
    this.#state[place] = 2
    return this.#facts[place] === factsDigest(facts) ? 'same' : 'other'
  }

  /** Whether a path that was entered has been looked up. */
  wasSeen(root: number, path: string): boolean {
    return this.#state[this.#place(keyOf(root, path))] === 2
  }

  #place(key: bigint): number {
    let place = Number(key & 0xff_ff_ff_ffn) & this.#mask
    while (this.#state[place] !== 0 && this.#keys[place] !== key) place = (place + 1) & this.#mask
    return place
  }
}

function keyOf(root: number, path: string): bigint {
  return hash('sha256', Buffer.from(`${root}\0${path}`, 'latin1'), 'buffer').readBigUInt64LE(0)
}

function factsDigest({gid, kind, mode, mtime, size, target, uid}: DiskFacts): bigint {
  // A directory's own time and size follow from what is in it.
  const own = kind === 'dir' ? [] : [mtime, kind === 'file' ? size : 0, target]
  // A link has no mode of its own anywhere.
  const bits = kind === 'symlink' ? 0 : mode
  const text = [kind, bits, uid, gid, ...own].join('\0')
  return hash('sha256', Buffer.from(text, 'latin1'), 'buffer').readBigUInt64LE(0)
}
