import type {ChunkRecord} from '../format/chunk-record.js'
import type {PackRecord} from '../format/pack-list.js'
import type {Report} from '../progress/events.js'
import {bytesOfBases, drawPacks} from './draw-packs.js'
import type {ChunkBook} from './findings.js'
import {headProblem} from './pack-check.js'
import {readHere, type ReadPacks} from './pack-readers.js'
import {ReadMeter} from './read-meter.js'
import type {StoreService} from './service.js'

/** The packs and chunks of one snapshot. */
export interface SnapshotParts {
  readonly packs: readonly PackRecord[]
  readonly chunks: ChunkBook
}

/** How the packs of a snapshot have their turn: which are read, by whom, and who hears of it. */
export interface VerifyTurn {
  /** Numbers of those to be read, in ascending order, of those that are there. */
  choose(present: readonly number[], of: SnapshotParts): Promise<readonly number[]>
  /** Why the store's own word about a pack will not do. */
  head(pack: PackRecord, signal?: AbortSignal): Promise<string | undefined>
  readonly read: ReadPacks
  /** Hears of each pack that was read, and whether it is whole. */
  done(pack: PackRecord, chunks: readonly ChunkRecord[], whole: boolean): Promise<void>
}

interface Draw {
  readonly decode: boolean
  /** Share of the packs, above 0 up to 1. */
  readonly share: number
  /** Most bytes that are read from packs, though at least one pack is. */
  readonly limit: number | undefined
}

/** Reads on this machine what chance chooses, and remembers nothing. */
export function drawnTurn(
  {random, report, store}: Pick<StoreService, 'random' | 'report' | 'store'>,
  {decode, limit, share}: Draw,
): VerifyTurn {
  let meter = new ReadMeter(0, report)
  return {
    async choose(present, {chunks, packs}) {
      const cost = (pack: number): number =>
        (packs[pack]?.length ?? 0) + (decode ? bytesOfBases(pack, chunks) : 0)
      const drawn = drawPacks({cost, from: present, limit, random: () => fraction(random), share})
      meter = meterOf(drawn, packs, report)
      return drawn
    },
    async done(pack) {
      meter.done(pack)
    },
    head: (pack, signal) => headProblem(store, pack, signal),
    read: readHere(store),
  }
}

function meterOf(drawn: readonly number[], packs: readonly PackRecord[], report: Report) {
  return new ReadMeter(
    drawn.reduce((sum, number) => sum + (packs[number]?.length ?? 0), 0),
    report,
  )
}

/** Evenly in [0, 1). */
export function fraction(random: StoreService['random']): number {
  return Buffer.from(random(6)).readUIntBE(0, 6) / 2 ** 48
}
