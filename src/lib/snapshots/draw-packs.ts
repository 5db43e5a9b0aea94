import type {ChunkBook} from './findings.js'

interface Lot {
  /** Numbers of packs to draw from. */
  readonly from: readonly number[]
  /** Above 0 up to 1. */
  readonly share: number
  /** Bytes that must not be exceeded, but for the first pack. */
  readonly limit?: number | undefined
  readonly cost: (pack: number) => number
  /** Even in [0, 1). */
  readonly random: () => number
}

/** Draws packs without replacement, at least one of them; in ascending order. */
export function drawPacks({cost, from, limit = Infinity, random, share}: Lot): readonly number[] {
  const rest = [...from]
  const wanted = Math.min(rest.length, Math.max(1, Math.ceil(rest.length * share)))
  let total = 0
  let drawn = 0
  for (; drawn < wanted; drawn += 1) {
    const other = drawn + Math.floor(random() * (rest.length - drawn))
    const pack = rest[other] as number
    total += cost(pack)
    if (drawn > 0 && total > limit) break
    ;[rest[drawn], rest[other]] = [pack, rest[drawn] as number]
  }
  return rest.slice(0, drawn).toSorted((one, other) => one - other)
}

/** Stored bytes of the chunks, each once, that those of a pack differ from. */
export function bytesOfBases(pack: number, {all, byPack}: ChunkBook): number {
  const bases = new Set((byPack.get(pack) ?? []).flatMap(({delta}) => (delta ? [delta.base] : [])))
  return [...bases].reduce((sum, base) => sum + (all[base]?.stored ?? 0), 0)
}
