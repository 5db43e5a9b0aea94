import type {ChunkRecord} from '../format/chunk-record.js'
import {decodeFrame} from '../format/frame.js'
import {damaged} from '../format/integrity.js'
import type {PackRecord} from '../format/pack-list.js'
import type {Store} from '../store/store.js'
import {openerOf} from './object-seals.js'

interface Source {
  readonly store: Store
  readonly packs: readonly PackRecord[]
  readonly chunkOf: (number: number) => ChunkRecord | undefined
  /** How many decoded chunks are kept, at most 4 MiB each. */
  readonly kept: number
}

/** Decodes single chunks from the store, the latest kept, and counts what that took. */
export class StoredChunks {
  bytesRead = 0
  readonly #from: Source
  readonly #kept = new Map<number, Promise<Uint8Array>>()

  constructor(from: Source) {
    this.#from = from
  }

  /** The raw bytes, with all they lean on proven; rejects INTEGRITY when they cannot be had. */
  async raw(number: number, signal?: AbortSignal): Promise<Uint8Array> {
    const chunk = this.#from.chunkOf(number)
    if (!chunk) throw damaged(`chunk ${number} is not in the index`)
    const raw = this.#kept.get(number) ?? this.#read(chunk, signal)
    // The last to be asked for is the last to be forgotten.
    this.#kept.delete(number)
    this.#kept.set(number, raw)
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > this.#from.kept && oldest !== undefined) this.#kept.delete(oldest)
    return raw
  }

  async #read(chunk: ChunkRecord, signal?: AbortSignal): Promise<Uint8Array> {
    const {packs, store} = this.#from
    const {at, delta, stored} = chunk
    const pack = packs[chunk.pack]
    if (!pack) throw damaged(`chunk ${chunk.chunk} is in no pack`)
    const range = [at, at + stored - 1] as const
    const frame = await store.get(pack.key, {limit: stored, range}, signal)
    this.bytesRead += frame.length
    const open = openerOf(store, pack)
    return decodeFrame(
      frame,
      chunk,
      delta && (() => this.raw(delta.base, signal)),
      open && ((record) => open(record, at)),
    )
  }
}
