import type {PackRecord} from '../format/pack-list.js'
import {drawPacks} from './draw-packs.js'
import type {StoreService} from './service.js'
import {fraction} from './verify-turn.js'

/** How many of the packs are read: all, a share that chance draws, or so many that this many runs read all. */
export type Choice =
  | {readonly kind: 'all'}
  | {readonly kind: 'share'; readonly share: number}
  | {readonly kind: 'cover'; readonly runs: number}

interface Known {
  /** When a pack was last proven; undefined for never. */
  readonly lastAt: (pack: PackRecord) => number | undefined
  readonly random: StoreService['random']
}

/** The packs that have their turn, by key; at least one, where there are any. */
export function choosePacks(
  packs: readonly PackRecord[],
  choice: Choice,
  {lastAt, random}: Known,
): ReadonlyMap<string, PackRecord> {
  return new Map(chosen().map((pack) => [pack.key, pack]))

  function chosen(): readonly PackRecord[] {
    if (choice.kind === 'all') return packs
    if (choice.kind === 'cover') {
      // Those that were never read first, then those that have waited longest.
      const waiting = packs
        .map((pack) => ({at: lastAt(pack) ?? -1, pack}))
        .toSorted((one, other) => one.at - other.at)
      return waiting.slice(0, Math.ceil(packs.length / choice.runs)).map(({pack}) => pack)
    }
    const from = packs.map((_, number) => number)
    const cost = (number: number) => packs[number]?.length ?? 0
    const drawn = drawPacks({cost, from, random: () => fraction(random), share: choice.share})
    return drawn.flatMap((number) => packs[number] ?? [])
  }
}
