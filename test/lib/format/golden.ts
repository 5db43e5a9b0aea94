import {createHash} from 'node:crypto'
import {readFileSync, readdirSync} from 'node:fs'
import type {ByteString} from '../../../src/lib/format/byte-string.js'
import type {ChunkRecord} from '../../../src/lib/format/chunk-record.js'
import type {Entry} from '../../../src/lib/format/entry.js'
import {decodeFrame} from '../../../src/lib/format/frame.js'
import {type IndexLine, readIndex} from '../../../src/lib/format/index-reader.js'
import {type Manifest, manifestKey, parseManifest} from '../../../src/lib/format/manifest.js'
import {type PackRecord, parsePackList} from '../../../src/lib/format/pack-list.js'

const DIRECTORY = new URL('../../fixtures/format-1/', import.meta.url)

/** What `expected.json` says of one entry. */
export interface Expectation {
  kind: string
  root: number
  path: ByteString
  mode: number
  uid: number
  gid: number
  user: ByteString | null
  group: ByteString | null
  mtime: string
  xattrs: [ByteString, string][]
  size: number
  hash: string | null
  sha256: string | null
  data: [number, number][]
  link: [number, ByteString] | null
  target: ByteString | null
  device: [number, number] | null
  torn: boolean
}

export const snapshots = readdirSync(new URL('store/snapshots/', DIRECTORY)).map((name) =>
  name.replace('.json', ''),
)

export function object(key: string): Buffer {
  return readFileSync(new URL(`store/${key}`, DIRECTORY))
}

export function expected(snapshot: string): Expectation[] {
  const all = JSON.parse(readFileSync(new URL('expected.json', DIRECTORY), 'utf8')) as Record<
    string,
    Expectation[]
  >
  return all[snapshot] ?? []
}

export function manifestOf(snapshot: string): Manifest {
  return parseManifest(object(manifestKey(snapshot)), manifestKey(snapshot))
}

export function segmentsOf(snapshot: string): Buffer[] {
  return manifestOf(snapshot).index.segments.map(({key}) => object(key))
}

export function packsOf(snapshot: string): Promise<PackRecord[]> {
  return parsePackList(object(manifestOf(snapshot).index.packs.key), snapshot)
}

export async function linesOf(snapshot: string): Promise<IndexLine[]> {
  const lines: IndexLine[] = []
  const source = {snapshot, packs: await packsOf(snapshot)}
  for await (const line of readIndex(segmentsOf(snapshot), source)) lines.push(line)
  return lines
}

export async function chunksOf(snapshot: string): Promise<ChunkRecord[]> {
  const lines = await linesOf(snapshot)
  return lines.flatMap((line) => (line.sort === 'chunk' ? [line.chunk] : []))
}

export async function* contentsOf(
  snapshot: string,
): AsyncGenerator<{entry: Entry; content: Buffer}> {
  const packs = (await packsOf(snapshot)).map(({key}) => object(key))
  const chunks: Uint8Array[] = []
  for (const line of await linesOf(snapshot)) {
    if (line.sort === 'chunk') {
      const {at, delta, pack, stored} = line.chunk
      const frame = packs[pack]?.subarray(at, at + stored) ?? Buffer.alloc(0)
      const base = chunks[delta?.base ?? -1] ?? Buffer.alloc(0)
      chunks.push(await decodeFrame(frame, line.chunk, () => Promise.resolve(base)))
      continue
    }
    const content = Buffer.alloc(line.entry.size)
    for (const {at, chunk, length, offset} of line.entry.extents)
      content.set(chunks[chunk]?.subarray(at, at + length) ?? [], offset)
    yield {entry: line.entry, content}
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
