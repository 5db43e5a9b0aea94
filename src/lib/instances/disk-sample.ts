import {DumontError} from '../errors.js'
import type {ChunkRecord} from '../format/chunk-record.js'
import type {IndexLine} from '../format/index-reader.js'
import type {PackRecord} from '../format/pack-list.js'
import type {Store} from '../store/store.js'
import {joined, placeOf, shownPlace} from './box-places.js'
import {textOf, type BoxTools} from './box-tools.js'
import type {SamplePiece} from './sample-choice.js'
import {StoredPieces} from './stored-pieces.js'

export interface SampleResult {
  readonly files: number
  /** Of the files, raw. */
  readonly bytes: number
  /** From the store. */
  readonly bytesRead: number
  /** For showing: the box and the store disagree. */
  readonly different: readonly string[]
}

const BATCH = 64
const BATCH_MS = 300_000
const HASH =
  'dd if="$1" bs=65536 iflag=skip_bytes,count_bytes,nofollow skip="$2" count="$3" status=none | sha256sum'

export interface SampleSource {
  readonly store: Store
  readonly packs: readonly PackRecord[]
  /** Reads the index once more. */
  readonly lines: () => AsyncIterable<IndexLine>
  /** Latin-1 text. */
  readonly roots: readonly string[]
}

/**
 * Compares pieces of files on the box, hashed by its own sha256sum, with what this machine decodes from the store. Ends with
 * the piece that reaches `limit` bytes read.
 */
export async function compareSample(
  tools: BoxTools,
  {lines, packs, roots, store}: SampleSource,
  {limit, pieces}: {readonly limit: number; readonly pieces: readonly SamplePiece[]},
  signal?: AbortSignal,
): Promise<SampleResult> {
  const stored = new StoredPieces(store, packs, await chunksOf(pieces, lines))
  const result = {bytes: 0, different: [] as string[], files: 0}
  for (let start = 0; start < pieces.length && stored.bytesRead < limit; start += BATCH) {
    // Neighbours share chunks, so a batch is read in the order of the index.
    const batch = pieces.slice(start, start + BATCH).toSorted(byChunk)
    const told = await hashedOnBox(tools, batch, roots, signal)
    for (const [index, piece] of batch.entries()) {
      if (stored.bytesRead >= limit) break
      if ((await stored.sha256(piece, signal)) !== told[index])
        result.different.push(shownPlace(pathOf(piece, roots)))
      result.files += 1
      result.bytes += piece.length
    }
  }
  return {...result, bytesRead: stored.bytesRead}
}

/** The chunks of these pieces, and those that they differ from. */
async function chunksOf(
  pieces: readonly SamplePiece[],
  lines: SampleSource['lines'],
): Promise<ReadonlyMap<number, ChunkRecord>> {
  const wanted = new Set(
    pieces.flatMap(({entry, length, offset}) =>
      entry.extents
        .filter(
          (extent) => extent.offset < offset + length && extent.offset + extent.length > offset,
        )
        .map(({chunk}) => chunk),
    ),
  )
  const chunks = await recordsOf(wanted, lines())
  const bases = new Set([...chunks.values()].flatMap(({delta}) => (delta ? [delta.base] : [])))
  // A base stands before what shows that it is one.
  return bases.size === 0 ? chunks : new Map([...chunks, ...(await recordsOf(bases, lines()))])
}

async function recordsOf(
  wanted: ReadonlySet<number>,
  lines: AsyncIterable<IndexLine>,
): Promise<ReadonlyMap<number, ChunkRecord>> {
  const chunks = new Map<number, ChunkRecord>()
  for await (const line of lines)
    if (line.sort === 'chunk' && wanted.has(line.chunk.chunk))
      chunks.set(line.chunk.chunk, line.chunk)
  return chunks
}

/** Paths go through stdin: they may be no UTF-8, and a process list shows arguments. */
async function hashedOnBox(
  tools: BoxTools,
  batch: readonly SamplePiece[],
  roots: readonly string[],
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const fields = batch.flatMap((piece) => [
    pathOf(piece, roots),
    String(piece.offset),
    String(piece.length),
  ])
  const stdin = Buffer.from(fields.map((field) => `${field}\0`).join(''), 'latin1')
  const argv = ['xargs', '-0', '-n', '3', 'sh', '-c', HASH, 'sh']
  const text = await textOf(tools, argv, {stdin, timeoutMs: BATCH_MS, ...(signal && {signal})})
  const hashes = text
    .trim()
    .split('\n')
    .map((line) => /^([0-9a-f]{64}) {2}-$/.exec(line)?.[1])
  if (hashes.length !== batch.length || hashes.includes(undefined))
    throw new DumontError('WORKER', 'sha256sum on the box answers with what it was not asked')
  return hashes as string[]
}

function pathOf({entry}: SamplePiece, roots: readonly string[]): string {
  return joined(roots[entry.root] ?? '/', placeOf(entry.path))
}

function byChunk(one: SamplePiece, other: SamplePiece): number {
  return (one.entry.extents[0]?.chunk ?? -1) - (other.entry.extents[0]?.chunk ?? -1)
}
