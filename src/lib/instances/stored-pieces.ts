import {createHash} from 'node:crypto'
import type {ChunkRecord} from '../format/chunk-record.js'
import {decodeFrame} from '../format/frame.js'
import type {PackRecord} from '../format/pack-list.js'
import {damaged} from '../format/integrity.js'
import type {Store} from '../store/store.js'
import type {SamplePiece} from './sample-choice.js'

const ZEROS = Buffer.alloc(65_536)
/** Decoded chunks that are kept, at most 4 MiB each: neighbours share them. */
const KEPT = 4

/** Reads pieces of files from the store alone, and counts what that took. */
export class StoredPieces {
  bytesRead = 0
  readonly #store: Store
  readonly #packs: readonly PackRecord[]
  readonly #chunks: ReadonlyMap<number, ChunkRecord>
  readonly #kept = new Map<number, Uint8Array>()

  constructor(
    store: Store,
    packs: readonly PackRecord[],
    chunks: ReadonlyMap<number, ChunkRecord>,
  ) {
    this.#store = store
    this.#packs = packs
    this.#chunks = chunks
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
      const raw = await this.#chunk(extent.chunk, signal)
      const shift = extent.at - extent.offset
      hasher.update(raw.subarray(from + shift, to + shift))
      at = to
    }
    zeros(hasher, end - at)
    return hasher.digest('hex')
  }

  async #chunk(number: number, signal?: AbortSignal): Promise<Uint8Array> {
    const kept = this.#kept.get(number)
    if (kept) return kept
    const chunk = this.#chunks.get(number)
    const pack = chunk && this.#packs[chunk.pack]
    if (!pack) throw damaged(`chunk ${number} is in no pack`)
    const range = [chunk.at, chunk.at + chunk.stored - 1] as const
    const frame = await this.#store.get(pack.key, {limit: chunk.stored, range}, signal)
    this.bytesRead += frame.length
    const raw = await decodeFrame(frame, chunk)
    this.#kept.set(number, raw)
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > KEPT && oldest !== undefined) this.#kept.delete(oldest)
    return raw
  }
}

function zeros(hasher: ReturnType<typeof createHash>, length: number): void {
  for (let left = length; left > 0; left -= ZEROS.length)
    hasher.update(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS)
}
