import {IndexSum, type IndexLine, type IndexSummary} from '../format/index-reader.js'
import type {Entry} from '../format/entry.js'
import type {PackRecord} from '../format/pack-list.js'
import type {Bytes, Counts} from '../worker/results.js'

/** What the index itself says of a snapshot, whatever anybody claims. `unreadable` is not in it. */
export interface Recount extends IndexSummary {
  readonly counts: Omit<Counts, 'unreadable'>
  /** Sizes and sums in bytes; `new` and `stored` count the packs that are not inherited. */
  readonly bytes: Omit<Bytes, 'delta' | 'parity'>
  /** Whether any chunk is coded by nvCOMP's ANS: of this run, and of those inherited. */
  readonly ans: {readonly own: boolean; readonly inherited: boolean}
  /** Of the chunks that are not inherited, those that are differences. */
  readonly differences: {readonly raw: number; readonly stored: number}
}

/** Reads an index to its end and adds everything up. */
export async function recount(
  batches: AsyncIterable<readonly IndexLine[]>,
  packs: readonly PackRecord[],
  isInherited: (key: string) => boolean,
): Promise<Recount> {
  const own = packs.map(({key}) => !isInherited(key))
  const tally = new Tally(own)
  const index = new IndexSum()
  for await (const batch of batches)
    for (const line of batch) {
      index.take(line)
      tally.take(line)
    }
  const summary = index.end()
  const stored = packs.reduce((sum, {length}, number) => sum + (own[number] ? length : 0), 0)
  const {ans, codecs, differences, fresh, raw} = tally
  return {
    ...summary,
    ans,
    counts: {...tally.counts, entries: summary.entries},
    bytes: {raw, new: fresh, stored, all: summary.stored, codecs: Object.fromEntries(codecs)},
    differences,
  }
}

class Tally {
  readonly counts = {files: 0, dirs: 0, symlinks: 0, others: 0, torn: 0}
  readonly codecs = new Map<string, {raw: number; stored: number}>()
  readonly differences = {raw: 0, stored: 0}
  readonly ans = {own: false, inherited: false}
  raw = 0
  fresh = 0
  readonly #own: readonly boolean[]

  constructor(own: readonly boolean[]) {
    this.#own = own
  }

  take(line: IndexLine): void {
    if (line.sort === 'entry') {
      this.#entry(line.entry)
      return
    }
    const {codec, delta, pack, rawLength, stored, transform} = line.chunk
    const coded = `${transform}/${codec}`
    const name = delta ? `${delta.operation}/${coded}` : coded
    const sum = this.codecs.get(name) ?? {raw: 0, stored: 0}
    this.codecs.set(name, {raw: sum.raw + rawLength, stored: sum.stored + stored})
    if (codec === 'ans') this.ans[this.#own[pack] ? 'own' : 'inherited'] = true
    if (!this.#own[pack]) return
    this.fresh += rawLength
    if (!delta) return
    this.differences.raw += rawLength
    this.differences.stored += stored
  }

  #entry({extents, kind, link, torn}: Entry): void {
    if (kind === 'file') this.counts.files++
    else if (kind === 'dir') this.counts.dirs++
    else if (kind === 'symlink') this.counts.symlinks++
    else this.counts.others++
    if (torn) this.counts.torn++
    // Holes are not covered by extents; content behind several names counts once.
    if (!link) this.raw += extents.reduce((sum, {length}) => sum + length, 0)
  }
}
