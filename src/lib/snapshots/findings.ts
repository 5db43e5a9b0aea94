import type {ChunkRecord} from '../format/chunk-record.js'
import type {PackRecord} from '../format/pack-list.js'
import type {PackReading} from './pack-check.js'

export type ChunksByPack = ReadonlyMap<number, readonly ChunkRecord[]>

/** All chunks of a snapshot, by number and by pack. */
export interface ChunkBook {
  readonly all: readonly ChunkRecord[]
  readonly byPack: ChunksByPack
}

export interface Damage {
  readonly key: string
  readonly reason: string
}

/** What was found wrong, pack by pack, and the chunks that are lost by it. */
export class Findings {
  readonly #bad = new Set<number>()
  readonly #packs: readonly PackRecord[]
  readonly #chunks: ChunkBook
  readonly #reasons = new Map<number, string>()

  constructor(packs: readonly PackRecord[], chunks: ChunkBook) {
    this.#packs = packs
    this.#chunks = chunks
  }

  headed(number: number, reason: string | undefined): void {
    if (reason === undefined) return
    this.#reasons.set(number, reason)
    for (const {chunk} of this.#chunks.byPack.get(number) ?? []) this.#bad.add(chunk)
  }

  read(number: number, {badBases, badChunks, reason}: PackReading): void {
    if (reason !== undefined) this.#reasons.set(number, reason)
    for (const chunk of [...badBases, ...badChunks]) this.#bad.add(chunk)
    for (const base of badBases) {
      const pack = this.#chunks.all[base]?.pack
      if (pack !== undefined && !this.#reasons.has(pack))
        this.#reasons.set(pack, 'a chunk that others differ from is damaged')
    }
  }

  /** The chunks that cannot be had any more: those that are damaged, and those that differ from one. */
  lost(): ReadonlySet<number> {
    const leaning = this.#chunks.all.filter(({delta}) => delta && this.#bad.has(delta.base))
    return new Set([...this.#bad, ...leaning.map(({chunk}) => chunk)])
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
