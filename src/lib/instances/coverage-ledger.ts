import {DumontError} from '../errors.js'
import {isAtOrBelow, shownPlace} from './box-places.js'
import type {CensusPath} from './census-finding.js'
import {noiseReason} from './known-noise.js'
import {PlaceTally} from './place-tally.js'

/** Where the system's packages install; never a home or a workspace. */
const PACKAGED = /^\/(?:bin|etc|lib\w*|opt|sbin|usr|var\/lib)\//
const MOST_DOUBTFUL = 200_000

/** Sorts every file that is in no snapshot: given up by name, known noise, or missing. */
export class CoverageLedger {
  readonly #missing = new PlaceTally()
  /** In no snapshot, but where packages install; until something vouches for them they would be lost. */
  readonly #doubtful = new Map<string, number>()
  readonly #discard: readonly string[]
  readonly #strict: readonly string[]
  readonly #allowed = new Map<string, {files: number; bytes: number; reason: string}>()

  /**
   * USAGE for a path that names nothing in particular: giving up everything would be no census at all. Nothing is noise, or a
   * package's, below what is `strict`.
   */
  constructor(discard: readonly string[], strict: readonly string[] = []) {
    this.#strict = strict
    this.#discard = discard.map((place) => place.replace(/\/+$/, ''))
    const vague = this.#discard.findIndex(
      (place) => !/^(?:\/(?!\.{1,2}(?:\/|$))[^/]+)+$/s.test(place),
    )
    if (vague !== -1)
      throw new DumontError(
        'USAGE',
        `--discard ${shownPlace(discard[vague] ?? '')} is no plain absolute path`,
        {
          hint: 'name the directories that may be lost, one by one',
        },
      )
  }

  take(place: string, bytes: number): void {
    const given = this.#discard.find((one) => isAtOrBelow(place, one))
    const isStrict = this.#strict.some((one) => isAtOrBelow(place, one))
    const noise = given === undefined && !isStrict ? noiseReason(place) : undefined
    if (given !== undefined) this.#allow(given, 'given up with --discard', bytes)
    else if (noise !== undefined) this.#allow(top(place), noise, bytes)
    else if (!isStrict && PACKAGED.test(place) && this.#doubtful.size < MOST_DOUBTFUL)
      this.#doubtful.set(place, bytes)
    else this.#missing.add(place, bytes)
  }

  /** Latin-1 paths of files that packages may have brought. */
  get doubtful(): ReadonlySet<string> {
    return new Set(this.#doubtful.keys())
  }

  /** These may be lost after all, for this reason. */
  excuse(places: ReadonlySet<string>, reason: string): void {
    for (const place of places) {
      const bytes = this.#doubtful.get(place)
      if (bytes === undefined) continue
      this.#doubtful.delete(place)
      this.#allow(top(place), reason, bytes)
    }
  }

  /** What would be lost. */
  get missing(): PlaceTally {
    for (const [place, bytes] of this.#doubtful) this.#missing.add(place, bytes)
    this.#doubtful.clear()
    return this.#missing
  }

  /** What may be lost, and why. */
  allowed(): readonly CensusPath[] {
    return [...this.#allowed]
      .map(([key, sum]) => ({...sum, path: shownPlace(key.slice(0, key.indexOf('\0')))}))
      .toSorted((one, other) => other.bytes - one.bytes)
  }

  #allow(place: string, reason: string, bytes: number): void {
    const key = `${place}\0${reason}`
    const sum = this.#allowed.get(key)
    if (sum) {
      sum.files += 1
      sum.bytes += bytes
    } else this.#allowed.set(key, {bytes, files: 1, reason})
  }
}

/** Two names deep at most, so that the list stays short. */
function top(place: string): string {
  return place.split('/', 3).join('/')
}
