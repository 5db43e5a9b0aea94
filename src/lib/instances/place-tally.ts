import {shownPlace} from './box-places.js'
import type {CensusPath} from './census-finding.js'

const MOST = 5000
const DEEPEST = 64

interface Sum {
  files: number
  bytes: number
}

/** Adds files up by directory in bounded memory: when there are too many directories, deeper ones become one. */
export class PlaceTally {
  files = 0
  bytes = 0
  #depth = DEEPEST
  #sums = new Map<string, Sum>()

  add(place: string, bytes: number): void {
    this.files += 1
    this.bytes += bytes
    this.#count(place.slice(0, place.lastIndexOf('/')), {bytes, files: 1})
    while (this.#sums.size > MOST && this.#depth > 1) this.#flatten()
  }

  /** The heaviest directories first; what lies in others is in the totals alone. */
  paths(most = 20): readonly CensusPath[] {
    return [...this.#sums]
      .toSorted(([, one], [, other]) => other.bytes - one.bytes || other.files - one.files)
      .slice(0, most)
      .map(([place, {bytes, files}]) => ({bytes, files, path: `${shownPlace(place)}/`}))
  }

  #count(directory: string, {bytes, files}: Sum): void {
    const place = directory.split('/', this.#depth + 1).join('/')
    const sum = this.#sums.get(place)
    if (sum) {
      sum.files += files
      sum.bytes += bytes
    } else this.#sums.set(place, {bytes, files})
  }

  #flatten(): void {
    const deepest = Math.max(...[...this.#sums.keys()].map((place) => place.split('/').length - 1))
    this.#depth = Math.min(this.#depth, deepest) - 1
    const old = this.#sums
    this.#sums = new Map()
    for (const [place, sum] of old) this.#count(place, sum)
  }
}
