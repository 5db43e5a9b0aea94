import {hash} from 'node:crypto'

const LEAF = Buffer.from([0])

/** The Merkle root over leaves that arrive one by one: RFC 6962 section 2.1 with SHA-256. */
export class MerkleTree {
  /** Roots of complete subtrees by level; a level is undefined where the count of leaves has no such bit. */
  readonly #levels: (string | undefined)[] = []

  add(leaf: Uint8Array): void {
    this.addNode(hash('sha256', Buffer.concat([LEAF, leaf]), 'binary'))
  }

  /** Adds a leaf by its node: SHA-256 of a zero byte and the leaf, a character a byte, which is cheaper than a buffer. */
  addNode(leaf: string): void {
    let node = leaf
    for (let level = 0; ; level++) {
      const left = this.#levels[level]
      if (left === undefined) {
        this.#levels[level] = node
        return
      }
      node = parent(left, node)
      this.#levels[level] = undefined
    }
  }

  /** Hexadecimal root over all leaves so far. */
  root(): string {
    let right: string | undefined
    for (const left of this.#levels)
      if (left !== undefined) right = right === undefined ? left : parent(left, right)
    return right === undefined ? hash('sha256', '') : Buffer.from(right, 'binary').toString('hex')
  }
}

const pair = Buffer.alloc(65, 1)

function parent(left: string, right: string): string {
  pair.write(left, 1, 'binary')
  pair.write(right, 33, 'binary')
  return hash('sha256', pair, 'binary')
}
