import {hash} from 'node:crypto'

const LEAF = Buffer.from([0])

/** The Merkle root over leaves that arrive one by one: RFC 6962 section 2.1 with SHA-256. */
export class MerkleTree {
  /** Roots of complete subtrees by level; a level is undefined where the count of leaves has no such bit. */
  readonly #levels: (Buffer | undefined)[] = []

  add(leaf: Uint8Array): void {
    this.addNode(hash('sha256', Buffer.concat([LEAF, leaf]), 'buffer'))
  }

  /** Adds a leaf by its node: SHA-256 of a zero byte and the leaf. */
  addNode(leaf: Buffer): void {
    let node = leaf
    for (let level = 0; ; level++) {
      const left = this.#levels[level]
      if (!left) {
        this.#levels[level] = node
        return
      }
      node = parent(left, node)
      this.#levels[level] = undefined
    }
  }

  /** Hexadecimal root over all leaves so far. */
  root(): string {
    let right: Buffer | undefined
    for (const left of this.#levels) if (left) right = right ? parent(left, right) : left
    return right ? right.toString('hex') : hash('sha256', '')
  }
}

const pair = Buffer.alloc(65, 1)

function parent(left: Buffer, right: Buffer): Buffer {
  pair.set(left, 1)
  pair.set(right, 33)
  return hash('sha256', pair, 'buffer')
}
