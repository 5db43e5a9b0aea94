import {displayBytes} from '../format/byte-string.js'
import type {Manifest} from '../format/manifest.js'
import {findSnapshot, type SnapshotReference} from './find-snapshot.js'
import type {StoreService} from './service.js'
import {readPacks, readStoredIndex} from './stored-index.js'

export interface LargeFile {
  /** Below its root; safe to show. */
  readonly path: string
  readonly root: number
  /** Bytes. */
  readonly size: number
}

export interface ShownSnapshot {
  readonly manifest: Manifest
  /** Descending; empty unless asked for. */
  readonly largest: readonly LargeFile[]
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
  }
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
