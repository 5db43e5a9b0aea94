import type {IndexLine} from '../format/index-reader.js'
import {manifestKey, type Manifest} from '../format/manifest.js'
import {markedKeys} from '../snapshots/marks.js'
import {readPacks} from '../snapshots/stored-index.js'
import {verifySnapshot, type VerifyLevel} from '../snapshots/verify-snapshot.js'
import {untrusted} from '../untrusted.js'
import {displayByteString, displayBytes} from '../format/byte-string.js'
import type {Check, ReceiptService, Refusal} from './receipt-terms.js'

const SHOWN = 20

export interface SnapshotProof {
  readonly checks: readonly Check[]
  readonly refusals: readonly Refusal[]
  readonly bytesRead: number
}

/**
 * Reads the snapshot back from the store after its commit: every pack it names with size and checksum, none marked for
 * removal, the index with its Merkle root, and a share of the packs. Rejects INTEGRITY when index or manifest is damaged.
 */
export async function proveSnapshot(
  service: ReceiptService,
  {
    level,
    manifest,
    sample,
    sampleBytes,
  }: {
    readonly manifest: Manifest
    readonly level: VerifyLevel
    readonly sample: number
    readonly sampleBytes: number
  },
  signal?: AbortSignal,
): Promise<SnapshotProof> {
  const {store} = service
  // Marks first: what is marked from then on is not swept before an hour has passed.
  const marked = await markedKeys(store, signal)
  const packs = await readPacks(store, manifest, signal)
  const total = packs.reduce((sum, {length}) => sum + length, 0)
  const share = Math.min(sample, total === 0 ? 1 : sampleBytes / total)
  const chosen = share > 0 ? level : 'listed'
  // What parity could give back is no proof that it is there, and what only parity needs proves nothing.
  const {groups: _, ...index} = manifest.index
  const bare = {...manifest, index}
  const bounded = {level: chosen, limit: sampleBytes, manifest: bare, sample: share} as const
  const {bytesRead, damaged, damagedFiles, packsRead} = await verifySnapshot(
    service,
    bounded,
    signal,
  )
  const doomed = packs.filter(({key}) => marked.has(key))
  const refusals: Refusal[] = []
  if (damaged.length > 0)
    refusals.push({
      rule: 'packs',
      message: `${damaged.length} of ${packs.length} packs are missing or damaged, so ${damagedFiles.length} files would not come back`,
      remedy: 'take the snapshot again: what is missing is stored anew',
      paths: damagedFiles.slice(0, SHOWN).map((path) => ({bytes: 0, files: 1, path})),
    })
  if (doomed.length > 0 || marked.has(manifestKey(manifest.id)))
    refusals.push({
      rule: 'packs',
      message: `${doomed.length} packs of the snapshot are marked for removal`,
      remedy: 'take the snapshot again: what is marked is stored anew',
    })
  const figures = {
    bytesRead,
    chunks: manifest.index.chunks,
    entries: manifest.index.entries,
    packs: packs.length,
    packsRead,
    packBytes: total,
  }
  const what =
    'every pack is in the store with size and checksum, and the index gives its Merkle root'
  return {bytesRead, checks: [{by: 'operator', figures, rule: 'packs', what}], refusals}
}

/** Refuses what the snapshot holds only in part, or not at all. */
export async function proveWhole(
  {counts, warnings}: Manifest,
  lines: AsyncIterable<IndexLine>,
): Promise<readonly Refusal[]> {
  const torn: string[] = []
  let count = 0
  for await (const line of lines) {
    if (line.sort !== 'entry' || !line.entry.torn) continue
    count += 1
    if (torn.length < SHOWN) torn.push(displayBytes(line.entry.path, 4096))
  }
  const refusals: Refusal[] = []
  if (count > 0 || counts.torn > 0)
    refusals.push({
      rule: 'torn',
      message: `${Math.max(count, counts.torn)} files changed while they were read`,
      remedy: 'stop what writes them (--stop-processes, --freeze), then hibernate again',
      paths: torn.map((path) => ({bytes: 0, files: 1, path})),
    })
  // A skipped mount is the census's: it knows whether it would be lost.
  const lost = warnings.first.filter(({code}) => code !== 'mount' && code !== 'torn')
  const others = warnings.count - warnings.first.length
  if (counts.unreadable > 0 || lost.length > 0 || others > 0)
    refusals.push({
      rule: 'torn',
      message: `the snapshot lacks what could not be read: ${counts.unreadable} entries, ${lost.length + others} warnings`,
      remedy: 'make them readable, exclude and discard them, or remove them; then hibernate again',
      paths: lost.slice(0, SHOWN).map(({code, path}) => ({
        bytes: 0,
        files: 1,
        path: displayByteString(path, 4096),
        reason: untrusted(code, 40),
      })),
    })
  return refusals
}
