import {DumontError, isDumontError} from '../errors.js'
import type {ChunkRecord} from '../format/chunk-record.js'
import {displayBytes} from '../format/byte-string.js'
import {summarise, type IndexLine} from '../format/index-reader.js'
import type {Manifest} from '../format/manifest.js'
import type {PackRecord} from '../format/pack-list.js'
import {Findings, type ChunkBook, type Damage} from './findings.js'
import {mapBounded} from './map-bounded.js'
import type {StoreService} from './service.js'
import type {Store} from '../store/store.js'
import {readGroups, readPacks, readStoredIndex, withRemedy} from './stored-index.js'
import {withGroups, type StoredObjects} from './stored-objects.js'
import {drawnTurn, type SnapshotParts, type VerifyTurn} from './verify-turn.js'

/** `listed`: every object is there with size and checksum; `stored`: every byte read; `decoded`: every chunk decoded. */
export type VerifyLevel = 'decoded' | 'listed' | 'stored'

export interface VerifyRequest {
  readonly manifest: Manifest
  readonly level: VerifyLevel
  /** Share of the packs that `stored` and `decoded` read, above 0 up to 1. */
  readonly sample: number
  /** Most bytes that are read from packs, though at least one pack is; everything that the sample asks for by default. */
  readonly limit?: number
  /** In place of sample and limit: who decides. */
  readonly turn?: VerifyTurn
}

export interface VerifyResult {
  readonly id: string
  readonly level: VerifyLevel
  readonly sample: number
  /** Of all sorts, and those of them that only parity is for. */
  readonly packs: number
  readonly parity: number
  /** Packs whose bytes were read, and how many bytes and chunks that was; other packs' chunks that theirs differ from too. */
  readonly packsRead: number
  readonly bytesRead: number
  readonly chunksRead: number
  readonly damaged: readonly Damage[]
  /** Files that cannot come back whole, by name; empty when nothing is damaged. */
  readonly damagedFiles: readonly string[]
  /** How many files come back whole as far as was looked, and how many do not. */
  readonly files: {readonly whole: number; readonly lost: number}
  readonly seconds: number
}

const HEADS_AT_ONCE = 32

/**
 * Checks a snapshot against the store. Damage of packs is a result, told file by file; a damaged manifest or index rejects
 * INTEGRITY, because then nothing more can be said.
 */
export async function verifySnapshot(
  service: Pick<StoreService, 'clock' | 'random' | 'report' | 'store'>,
  {level, limit, manifest, sample, turn: given}: VerifyRequest,
  signal?: AbortSignal,
): Promise<VerifyResult> {
  const {clock, report, store} = service
  const begun = clock.now()
  report({kind: 'step', state: 'started', step: 'verify'})
  const {chunks, packs} = await readWhole(store, manifest, signal)
  const {damage, ...stored} = await lookAtGroups(store, manifest, packs, signal)
  const {objects} = stored
  report({detail: `${manifest.index.entries} entries`, kind: 'step', state: 'done', step: 'verify'})

  report({kind: 'step', state: 'started', step: 'check-packs'})
  const decode = level === 'decoded'
  const turn = given ?? drawnTurn(service, {decode, limit, share: sample})
  const findings = new Findings(stored, chunks)
  const lookAt = async (pack: PackRecord, number: number): Promise<void> =>
    findings.headed(number, await turn.head(pack, signal))
  await mapBounded(objects, HEADS_AT_ONCE, lookAt, signal)

  const numbers =
    level === 'listed' ? [] : await turn.choose(findings.present(), {chunks, packs: objects})
  let bytesRead = 0
  const work = {chunks, decode, manifest, numbers, packs: objects}
  const besides = await turn.read(
    work,
    async (number, reading) => {
      const pack = objects[number] as PackRecord
      findings.read(number, reading)
      bytesRead += pack.length
      const isWhole = reading.reason === undefined && reading.badBases.length === 0
      await turn.done(pack, chunks.byPack.get(number) ?? [], isWhole)
    },
    signal,
  )
  report({kind: 'step', state: 'done', step: 'check-packs'})

  const lines = (): AsyncIterable<IndexLine> => readStoredIndex(store, manifest, packs, signal)
  const lost = findings.lost()
  const damagedFiles = lost.size === 0 ? [] : await filesOf(lines(), lost)
  return {
    bytesRead: bytesRead + besides,
    chunksRead: numbers.reduce((sum, one) => sum + (chunks.byPack.get(one)?.length ?? 0), 0),
    damaged: [...findings.damaged(), ...damage],
    damagedFiles,
    files: {
      lost: damagedFiles.length,
      whole: Math.max(0, manifest.counts.files - damagedFiles.length),
    },
    id: manifest.id,
    level,
    packs: objects.length,
    parity: objects.length - packs.length,
    packsRead: numbers.length,
    sample,
    seconds: (clock.now() - begun) / 1000,
  }
}

/** Packs and chunks; rejects INTEGRITY, with what may help where the index has parity. */
async function readWhole(
  store: Store,
  manifest: Manifest,
  signal?: AbortSignal,
): Promise<SnapshotParts> {
  try {
    const packs = await readPacks(store, manifest, signal)
    const lines = readStoredIndex(store, manifest, packs, signal)
    return {chunks: await checkIndex(manifest, lines), packs}
  } catch (error) {
    throw withRemedy(manifest, error)
  }
}

/** What parity there is; without its list nothing is lost but that. */
async function lookAtGroups(
  store: Store,
  manifest: Manifest,
  packs: readonly PackRecord[],
  signal?: AbortSignal,
): Promise<StoredObjects & {readonly damage: readonly Damage[]}> {
  try {
    return {...withGroups(packs, await readGroups(store, manifest, signal)), damage: []}
  } catch (error) {
    if (!isDumontError(error) || error.code !== 'INTEGRITY') throw error
    const key = `index/${manifest.id}/groups`
    const damage = {key, reason: error.message, repairable: false}
    return {...withGroups(packs, []), damage: [damage]}
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
