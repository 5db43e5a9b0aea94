import type {ChunkRecord} from '../format/chunk-record.js'
import type {PackRecord} from '../format/pack-list.js'
import type {PackReading} from './pack-check.js'

export type ChunksByPack = ReadonlyMap<number, readonly ChunkRecord[]>

export interface Damage {
  readonly key: string
  readonly reason: string
}

/** What was found wrong, pack by pack, and the chunks that are lost by it. */
export class Findings {
  readonly bad = new Set<number>()
  readonly #packs: readonly PackRecord[]
  readonly #chunks: ChunksByPack
  readonly #reasons = new Map<number, string>()

  constructor(packs: readonly PackRecord[], chunks: ChunksByPack) {
    this.#packs = packs
    this.#chunks = chunks
  }

  headed(number: number, reason: string | undefined): void {
    if (reason === undefined) return
    this.#reasons.set(number, reason)
    for (const {chunk} of this.#chunks.get(number) ?? []) this.bad.add(chunk)
  }

  read(number: number, {badChunks, reason}: PackReading): void {
    if (reason !== undefined) this.#reasons.set(number, reason)
    for (const chunk of badChunks) this.bad.add(chunk)
  }

  present(): number[] {
    return this.#packs.map((_, number) => number).filter((number) => !this.#reasons.has(number))
  }

  damaged(): readonly Damage[] {
    return [...this.#reasons]
      .toSorted(([one], [other]) => one - other)
      .map(([number, reason]) => ({key: this.#packs[number]?.key ?? '', reason}))
  }
}
