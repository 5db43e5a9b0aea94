import {createHash} from 'node:crypto'
import type {ChunkRecord} from '../format/chunk-record.js'
import type {PackRecord} from '../format/pack-list.js'
import {StoredChunks} from '../snapshots/stored-chunks.js'
import type {Store} from '../store/store.js'
import type {SamplePiece} from './sample-choice.js'

const ZEROS = Buffer.alloc(65_536)
/** Neighbours share chunks, and what these differ from. */
const KEPT = 6

/** Reads pieces of files from the store alone, and counts what that took. */
export class StoredPieces {
  readonly #chunks: StoredChunks

  constructor(
    store: Store,
    packs: readonly PackRecord[],
    chunks: ReadonlyMap<number, ChunkRecord>,
  ) {
    const chunkOf = (number: number): ChunkRecord | undefined => chunks.get(number)
    this.#chunks = new StoredChunks({chunkOf, kept: KEPT, packs, store})
  }

  get bytesRead(): number {
    return this.#chunks.bytesRead
  }

  /** SHA-256 in hexadecimal of what the store says is there; INTEGRITY when it cannot be had. */
  async sha256({entry, length, offset}: SamplePiece, signal?: AbortSignal): Promise<string> {
    const hasher = createHash('sha256')
    const end = offset + length
    let at = offset
    for (const extent of entry.extents) {
      const from = Math.max(at, extent.offset)
      const to = Math.min(end, extent.offset + extent.length)
      if (from >= to) continue
      zeros(hasher, from - at)
      const raw = await this.#chunks.raw(extent.chunk, signal)
      const shift = extent.at - extent.offset
      hasher.update(raw.subarray(from + shift, to + shift))
      at = to
    }
    zeros(hasher, end - at)
    return hasher.digest('hex')
  }
}

function zeros(hasher: ReturnType<typeof createHash>, length: number): void {
  for (let left = length; left > 0; left -= ZEROS.length)
    hasher.update(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS)
}
