import {DumontError} from '../errors.js'
import type {ChunkRecord} from '../format/chunk-record.js'
import {displayBytes} from '../format/byte-string.js'
import {summarise, type IndexLine} from '../format/index-reader.js'
import type {Manifest} from '../format/manifest.js'
import type {PackRecord} from '../format/pack-list.js'
import type {Report} from '../progress/events.js'
import {bytesOfBases, drawPacks} from './draw-packs.js'
import {Findings, type ChunkBook, type Damage} from './findings.js'
import {mapBounded} from './map-bounded.js'
import {headProblem, readProblem} from './pack-check.js'
import type {StoreService} from './service.js'
import {StoredChunks} from './stored-chunks.js'
import {readPacks, readStoredIndex} from './stored-index.js'

/** `listed`: every object is there with size and checksum; `stored`: every byte read; `decoded`: every chunk decoded. */
export type VerifyLevel = 'decoded' | 'listed' | 'stored'

export interface VerifyRequest {
  readonly manifest: Manifest
  readonly level: VerifyLevel
  /** Share of the packs that `stored` and `decoded` read, above 0 up to 1. */
  readonly sample: number
  /** Most bytes that are read from packs, though at least one pack is; everything that the sample asks for by default. */
  readonly limit?: number
}

export interface VerifyResult extends Omit<VerifyRequest, 'limit' | 'manifest'> {
  readonly id: string
  readonly packs: number
  /** Packs whose bytes were read, and how many bytes and chunks that was; other packs' chunks that theirs differ from too. */
  readonly packsRead: number
  readonly bytesRead: number
  readonly chunksRead: number
  readonly damaged: readonly Damage[]
  /** Files that cannot come back whole, by name; empty when nothing is damaged. */
  readonly damagedFiles: readonly string[]
  readonly seconds: number
}

const HEADS_AT_ONCE = 32
// Two packs of at most 32 MiB each, with one decoded chunk and its base, bound the memory, and these.
const READS_AT_ONCE = 2
const BASES_KEPT = 8

/**
 * Checks a snapshot against the store from this machine alone. Damage of packs is a result, told file by file; a
 * damaged manifest or index rejects INTEGRITY, because then nothing more can be said.
 */
export async function verifySnapshot(
  {clock, random, report, store}: Pick<StoreService, 'clock' | 'random' | 'report' | 'store'>,
  {level, limit, manifest, sample}: VerifyRequest,
  signal?: AbortSignal,
): Promise<VerifyResult> {
  const begun = clock.now()
  report({kind: 'step', state: 'started', step: 'verify'})
  const packs = await readPacks(store, manifest, signal)
  const chunks = await checkIndex(manifest, readStoredIndex(store, manifest, packs, signal))
  report({detail: `${manifest.index.entries} entries`, kind: 'step', state: 'done', step: 'verify'})

  report({kind: 'step', state: 'started', step: 'check-packs'})
  const findings = new Findings(packs, chunks)
  const lookAt = async (pack: PackRecord, number: number): Promise<void> =>
    findings.headed(number, await headProblem(store, pack, signal))
  await mapBounded(packs, HEADS_AT_ONCE, lookAt, signal)

  const bases = new StoredChunks({
    chunkOf: (number) => chunks.all[number],
    kept: BASES_KEPT,
    packs,
    store,
  })
  const decode = level === 'decoded'
  const cost = (pack: number): number =>
    (packs[pack]?.length ?? 0) + (decode ? bytesOfBases(pack, chunks) : 0)
  const lot = {cost, from: findings.present(), limit, random: () => fraction(random), share: sample}
  const drawn = level === 'listed' ? [] : drawPacks(lot)
  const meter = new Meter(drawn, packs, report)
  const read = async (number: number): Promise<void> => {
    const pack = packs[number] as PackRecord
    const what = {chunks: chunks.byPack.get(number) ?? [], ...(decode && {bases})}
    findings.read(number, await readProblem(store, pack, what, signal))
    meter.done(pack)
  }
  await mapBounded(drawn, READS_AT_ONCE, read, signal)
  report({kind: 'step', state: 'done', step: 'check-packs'})

  const lines = (): AsyncIterable<IndexLine> => readStoredIndex(store, manifest, packs, signal)
  const lost = findings.lost()
  return {
    bytesRead: meter.bytes + bases.bytesRead,
    chunksRead: drawn.reduce((sum, number) => sum + (chunks.byPack.get(number)?.length ?? 0), 0),
    damaged: findings.damaged(),
    damagedFiles: lost.size === 0 ? [] : await filesOf(lines(), lost),
    id: manifest.id,
    level,
    packs: packs.length,
    packsRead: drawn.length,
    sample,
    seconds: (clock.now() - begun) / 1000,
  }
}

/** Recounts the index; rejects INTEGRITY when it is not what the manifest says. */
async function checkIndex(
  {decoders, id, index}: Manifest,
  lines: AsyncIterable<IndexLine>,
): Promise<ChunkBook> {
  const all: ChunkRecord[] = []
  const byPack = new Map<number, ChunkRecord[]>()
  async function* collect(): AsyncGenerator<IndexLine> {
    for await (const line of lines) {
      if (line.sort === 'chunk') {
        // Their numbers count from 0 without a gap.
        all.push(line.chunk)
        const known = byPack.get(line.chunk.pack)
        if (known === undefined) byPack.set(line.chunk.pack, [line.chunk])
        else known.push(line.chunk)
      }
      yield line
    }
  }
  const found = await summarise(collect())
  const same =
    found.merkle === index.merkle &&
    found.entries === index.entries &&
    found.chunks === index.chunks &&
    found.decoders.join() === decoders.toSorted().join()
  if (!same) throw new DumontError('INTEGRITY', `the index of ${id} is not what its manifest says`)
  return {all, byPack}
}

class Meter {
  bytes = 0
  readonly #total: number
  readonly #report: Report

  constructor(drawn: readonly number[], packs: readonly PackRecord[], report: Report) {
    this.#total = drawn.reduce((sum, number) => sum + (packs[number]?.length ?? 0), 0)
    this.#report = report
  }

  done({length}: PackRecord): void {
    this.bytes += length
    const progress = {
      files: 0,
      filesTotal: 0,
      parts: [],
      phase: 'verify',
      raw: this.bytes,
      rawTotal: this.#total,
      stored: 0,
      transferred: this.bytes,
    } as const
    this.#report({kind: 'transfer', progress})
  }
}

/** Evenly in [0, 1). */
function fraction(random: StoreService['random']): number {
  return Buffer.from(random(6)).readUIntBE(0, 6) / 2 ** 48
}

async function filesOf(
  lines: AsyncIterable<IndexLine>,
  bad: ReadonlySet<number>,
): Promise<string[]> {
  const files: string[] = []
  for await (const line of lines)
    if (line.sort === 'entry' && line.entry.extents.some(({chunk}) => bad.has(chunk)))
      files.push(displayBytes(line.entry.path, 4096))
  return files
}
