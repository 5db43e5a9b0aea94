import type {ChunkRecord} from '../format/chunk-record.js'
import type {PackRecord} from '../format/pack-list.js'
import type {PackReading} from './pack-check.js'
import {repairable, type NumberedGroup, type StoredObjects} from './stored-objects.js'

export type ChunksByPack = ReadonlyMap<number, readonly ChunkRecord[]>

/** All chunks of a snapshot, by number and by pack. */
export interface ChunkBook {
  readonly all: readonly ChunkRecord[]
  readonly byPack: ChunksByPack
}

export interface Damage {
  readonly key: string
  readonly reason: string
  /** Whether parity can make it again, as far as was looked. */
  readonly repairable: boolean
}

/** What was found wrong, pack by pack, and the chunks that are lost by it. */
export class Findings {
  readonly #bad = new Set<number>()
  readonly #packs: readonly PackRecord[]
  readonly #chunks: ChunkBook
  readonly #reasons = new Map<number, string>()

  readonly #groups: readonly NumberedGroup[]
  /** Packs that are as they were stored, and of no use all the same: parity would give the same again. */
  readonly #hopeless = new Set<number>()

  constructor({groups, objects}: StoredObjects, chunks: ChunkBook) {
    this.#packs = objects
    this.#chunks = chunks
    this.#groups = groups
  }

  headed(number: number, reason: string | undefined): void {
    if (reason === undefined) return
    this.#reasons.set(number, reason)
    for (const {chunk} of this.#chunks.byPack.get(number) ?? []) this.#bad.add(chunk)
  }

  read(number: number, {badBases, badChunks, isAsStored, reason}: PackReading): void {
    if (isAsStored) this.#hopeless.add(number)
    if (reason !== undefined) this.#reasons.set(number, reason)
    for (const chunk of [...badBases, ...badChunks]) this.#bad.add(chunk)
    for (const base of badBases) {
      const pack = this.#chunks.all[base]?.pack
      if (pack !== undefined && !this.#reasons.has(pack))
        this.#reasons.set(pack, 'a chunk that others differ from is damaged')
    }
  }

  /** The chunks that cannot be had any more: those that are damaged for good, and those that differ from one. */
  lost(): ReadonlySet<number> {
    const back = this.#repairable()
    const gone = new Set(
      [...this.#bad].filter((chunk) => !back.has(this.#chunks.all[chunk]?.pack ?? -1)),
    )
    const leaning = this.#chunks.all.filter(({delta}) => delta && gone.has(delta.base))
    return new Set([...gone, ...leaning.map(({chunk}) => chunk)])
  }

  present(): number[] {
    return this.#packs.map((_, number) => number).filter((number) => !this.#reasons.has(number))
  }

  damaged(): readonly Damage[] {
    const back = this.#repairable()
    return [...this.#reasons]
      .toSorted(([one], [other]) => one - other)
      .map(([number, reason]) => {
        const key = this.#packs[number]?.key ?? ''
        return {key, reason, repairable: back.has(number)}
      })
  }

  #repairable(): ReadonlySet<number> {
    const lost = [...this.#reasons.keys()].filter((number) => !this.#hopeless.has(number))
    return repairable(this.#groups, new Set(lost))
  }
}
