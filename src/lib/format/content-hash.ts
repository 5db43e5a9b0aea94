import type {IHasher} from 'hash-wasm'
import {type Blake3, loadBlake3, newHasher} from './blake3.js'

const BLOCK = 1_048_576
const PREFIX = Buffer.from('dumont content 1\n', 'ascii')
const ZEROS = Buffer.alloc(BLOCK)

/** The content hash of bytes that are at hand as a whole, hexadecimal. */
export async function contentHash(content: Uint8Array): Promise<string> {
  const hasher = await startContentHash()
  hasher.update(content)
  return hasher.digest()
}

export async function startContentHash(): Promise<ContentHasher> {
  return new ContentHasher(await loadBlake3(), await newHasher())
}

/** The content hash of a file whose bytes and holes arrive in order. */
export class ContentHasher {
  readonly #blake3: Blake3
  readonly #block: IHasher
  readonly #hashes: Uint8Array[] = []
  #zeroBlock: Uint8Array | undefined
  #inside = 0

  constructor(blake3: Blake3, block: IHasher) {
    this.#blake3 = blake3
    this.#block = block.init()
  }

  update(bytes: Uint8Array): void {
    let rest = bytes
    while (rest.length > 0) {
      const piece = rest.subarray(0, BLOCK - this.#inside)
      this.#block.update(piece)
      this.#inside += piece.length
      rest = rest.subarray(piece.length)
      if (this.#inside === BLOCK) this.#endBlock()
    }
  }

  /** A hole; whole blocks of it cost nothing. */
  zeros(length: number): void {
    let left = length
    while (left > 0) {
      if (this.#inside === 0 && left >= BLOCK) {
        this.#zeroBlock ??= this.#blake3.bytes(ZEROS)
        this.#hashes.push(this.#zeroBlock)
        left -= BLOCK
      } else {
        const piece = ZEROS.subarray(0, Math.min(left, BLOCK - this.#inside))
        this.update(piece)
        left -= piece.length
      }
    }
  }

  /** Hexadecimal; ends the hasher. */
  digest(): string {
    const blocks = this.#hashes.length + (this.#inside > 0 ? 1 : 0)
    if (blocks === 0) return this.#blake3.hex(Buffer.alloc(0))
    if (this.#inside > 0) this.#endBlock()
    const [first] = this.#hashes
    if (blocks === 1 && first) return Buffer.from(first).toString('hex')
    return this.#blake3.hex(Buffer.concat([PREFIX, ...this.#hashes]))
  }

  #endBlock(): void {
    this.#hashes.push(this.#block.digest('binary'))
    this.#block.init()
    this.#inside = 0
  }
}
