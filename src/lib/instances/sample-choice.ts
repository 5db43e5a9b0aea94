import type {Entry} from '../format/entry.js'

/** A stretch of one file that is hashed on the box and from the store. */
export interface SamplePiece {
  readonly entry: Entry
  readonly offset: number
  readonly length: number
}

const STRETCH = 4_194_304
const EXTREMES = 8

/** Keeps, of files that come by one at a time, the largest, the newest, and others evenly at random. */
export class SampleChoice {
  readonly #random: () => number
  readonly #most: number
  readonly #drawn: Entry[] = []
  readonly #largest = new Extremes(({size}) => BigInt(size))
  readonly #newest = new Extremes(({mtime}) => mtime)
  #seen = 0

  /** `random` is even in [0, 1); `most` is how many are drawn at random. */
  constructor(random: () => number, most: number) {
    this.#random = random
    this.#most = most
  }

  offer(entry: Entry): void {
    if (entry.kind !== 'file' || entry.size === 0) return
    this.#largest.offer(entry)
    this.#newest.offer(entry)
    this.#seen += 1
    if (this.#drawn.length < this.#most) this.#drawn.push(entry)
    else {
      const place = Math.floor(this.#random() * this.#seen)
      if (place < this.#most) this.#drawn[place] = entry
    }
  }

  /** Files whole up to 4 MiB, of larger ones a stretch at a random place; the extremes first. */
  pieces(): readonly SamplePiece[] {
    const chosen = new Set([...this.#largest.entries, ...this.#newest.entries, ...this.#drawn])
    return Array.from(chosen, (entry) => {
      const length = Math.min(entry.size, STRETCH)
      return {entry, length, offset: Math.floor(this.#random() * (entry.size - length + 1))}
    })
  }
}

class Extremes {
  entries: readonly Entry[] = []
  readonly #rank: (entry: Entry) => bigint

  constructor(rank: (entry: Entry) => bigint) {
    this.#rank = rank
  }

  offer(entry: Entry): void {
    const last = this.entries.at(-1)
    const rank = this.#rank(entry)
    if (last && this.entries.length === EXTREMES && rank <= this.#rank(last)) return
    this.entries = [...this.entries, entry]
      .toSorted((one, other) => Number(this.#rank(other) - this.#rank(one)))
      .slice(0, EXTREMES)
  }
}
