import type {Manifest} from '../format/manifest.js'
import type {PackRecord} from '../format/pack-list.js'
import type {Store} from '../store/store.js'
import type {ChunkBook} from './findings.js'
import {mapBounded} from './map-bounded.js'
import {readProblem, type PackReading} from './pack-check.js'
import {StoredChunks} from './stored-chunks.js'

// Two packs of at most 32 MiB each, with one decoded chunk and its base, bound the memory, and these.
const AT_ONCE = 2
const BASES_KEPT = 8

/** Packs of one snapshot that are to be read. */
export interface PacksToRead {
  readonly manifest: Manifest
  readonly packs: readonly PackRecord[]
  readonly chunks: ChunkBook
  /** Which of the packs, in ascending order. */
  readonly numbers: readonly number[]
  /** Whether every chunk is decoded and compared; else its hash as stored. */
  readonly decode: boolean
}

/** What one pack was found to be. */
export type OnRead = (number: number, reading: PackReading) => Promise<void>

/** Reads packs whole, wherever that is done, and gives the bytes that were read beside them: of bases. */
export type ReadPacks = (what: PacksToRead, onRead: OnRead, signal?: AbortSignal) => Promise<number>

/** Reads with this machine's own eyes. */
export function readHere(store: Store): ReadPacks {
  return async ({chunks, decode, numbers, packs}, onRead, signal) => {
    const bases = new StoredChunks({
      chunkOf: (number) => chunks.all[number],
      kept: BASES_KEPT,
      packs,
      store,
    })
    const read = async (number: number): Promise<void> => {
      const what = {chunks: chunks.byPack.get(number) ?? [], ...(decode && {bases})}
      await onRead(number, await readProblem(store, packs[number] as PackRecord, what, signal))
    }
    await mapBounded(numbers, AT_ONCE, read, signal)
    return bases.bytesRead
  }
}
