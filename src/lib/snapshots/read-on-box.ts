import {untrusted} from '../untrusted.js'
import {offProtocol, type CheckedPack} from '../worker/protocol.js'
import type {ConnectedBox} from './connect-worker.js'
import {memoryFor} from './create-request.js'
import {grantFetch, readableOf} from './fetching.js'
import {checkDecoders} from './nvidia-need.js'
import type {PackReading} from './pack-check.js'
import {readHere, type PacksToRead, type ReadPacks} from './pack-readers.js'
import type {StoreService} from './service.js'

/** Connections to the store. */
export interface BoxReading {
  readonly parts: number
  /** Bytes. */
  readonly memory?: number
}

/** Lets a box do the reading. What it says is checked for sense, and not for truth: nobody could. */
export function readOnBox(
  box: ConnectedBox,
  {memory, parts}: BoxReading,
  {store}: Pick<StoreService, 'store'>,
): ReadPacks {
  return async (what, onRead, signal) => {
    const {chunks, decode, manifest, packs} = what
    const numbers = what.numbers.filter((number) => chunks.byPack.has(number))
    // Boxes know the list of packs; what parity adds to it is a small part, and read here.
    const others = what.numbers.filter((number) => !chunks.byPack.has(number))
    await readHere(store)({...what, numbers: others}, onRead, signal)
    if (numbers.length === 0) return 0
    if (decode) checkDecoders(manifest, box)
    const listed = packs.filter((_, number) => chunks.byPack.has(number))
    const readable = readableOf(manifest.index, listed)
    const waiting = new Set(numbers)
    let told = Promise.resolve()
    const checked = (found: CheckedPack): void => {
      if (!waiting.delete(found.pack))
        throw offProtocol('a verdict on a pack that was not asked for')
      const reading = readingOf(found, what)
      told = told.then(() => onRead(found.pack, reading))
      told.catch(() => {})
    }
    const reading = box.worker.verify(
      {
        type: 'verify',
        snapshot: manifest.id,
        segments: manifest.index.segments,
        packs: manifest.index.packs,
        ranges: rangesOf(numbers),
        decode,
        parts: Math.min(parts, box.reach.most),
        memory: memoryFor(box.worker.hello, memory),
      },
      {checked, fetch: (keys) => grantFetch(keys, {readable, store}, box.reach)},
      signal,
    )
    try {
      await reading
    } finally {
      // What was said before it failed counts.
      await told.catch(() => {})
    }
    await told
    if (waiting.size > 0) throw offProtocol(`no verdict on ${waiting.size} packs`)
    return (await reading).besides
  }
}

function readingOf({bases, chunks, pack, reason}: CheckedPack, what: PacksToRead): PackReading {
  const all = (what.chunks.byPack.get(pack) ?? []).map(({chunk}) => chunk)
  const own = new Set(all)
  const badChunks = chunks ?? all
  const isKnown =
    badChunks.every((chunk) => own.has(chunk)) &&
    bases.every((chunk) => what.chunks.all[chunk] !== undefined)
  if (!isKnown) throw offProtocol('a verdict on chunks that are not in the pack')
  if (reason === null && badChunks.length > 0) throw offProtocol('damage without a reason')
  return {
    badBases: bases,
    badChunks,
    reason: reason === null ? undefined : untrusted(reason, 300),
  }
}

/** Ascending numbers as first and last of those that follow one another. */
export function rangesOf(numbers: readonly number[]): [number, number][] {
  const ranges: [number, number][] = []
  for (const number of numbers) {
    const last = ranges.at(-1)
    if (last && last[1] + 1 === number) last[1] = number
    else ranges.push([number, number])
  }
  return ranges
}
