import {displayBytes} from '../format/byte-string.js'
import {DELTAS} from '../format/chunk-record.js'
import type {Manifest} from '../format/manifest.js'
import {differingFiles, type DifferingFile, type NamedFile} from './differing-files.js'
import {findSnapshot, type SnapshotReference} from './find-snapshot.js'
import type {StoreService} from './service.js'
import {readPacks, readStoredIndex} from './stored-index.js'

export interface LargeFile extends NamedFile {
  /** Bytes. */
  readonly size: number
}

export interface ShownSnapshot {
  readonly manifest: Manifest
  /** Descending; empty unless asked for. */
  readonly largest: readonly LargeFile[]
  /** Files that are stored as differences, the largest first. */
  readonly differing: readonly DifferingFile[]
}

/** A snapshot's manifest and, when `largest` is above 0, so many of its largest files. */
export async function showSnapshot(
  request: SnapshotReference & {readonly largest?: number},
  service: Pick<StoreService, 'stateDir' | 'store'>,
  signal?: AbortSignal,
): Promise<ShownSnapshot> {
  const {manifest} = await findSnapshot(request, service, signal)
  const {largest = 0} = request
  return {
    manifest,
    largest: largest > 0 ? await largestFiles(manifest, {...service, count: largest}, signal) : [],
    differing: differs(manifest) ? await differing(manifest, service, signal) : [],
  }
}

function differs({decoders}: Manifest): boolean {
  return DELTAS.some((name) => decoders.includes(name))
}

async function differing(
  manifest: Manifest,
  {store}: Pick<StoreService, 'store'>,
  signal?: AbortSignal,
): Promise<DifferingFile[]> {
  const packs = await readPacks(store, manifest, signal)
  return differingFiles(readStoredIndex(store, manifest, packs, signal))
}

async function largestFiles(
  manifest: Manifest,
  {count, store}: Pick<StoreService, 'store'> & {readonly count: number},
  signal?: AbortSignal,
): Promise<LargeFile[]> {
  const packs = await readPacks(store, manifest, signal)
  let files: LargeFile[] = []
  for await (const line of readStoredIndex(store, manifest, packs, signal)) {
    if (line.sort !== 'entry' || line.entry.kind !== 'file' || line.entry.link) continue
    const {path, root, size} = line.entry
    if (files.length >= 2 * count) files = top(files, count)
    files.push({path: displayBytes(path, 4096), root, size})
  }
  return top(files, count)
}

function top(files: readonly LargeFile[], count: number): LargeFile[] {
  return files.toSorted((one, other) => other.size - one.size).slice(0, count)
}
