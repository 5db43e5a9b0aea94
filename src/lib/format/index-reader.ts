import {type ChunkRecord, decodeChunkRecord, decodersOf} from './chunk-record.js'
import {type Entry, decodeEntry, wide} from './entry.js'
import {nodeOf} from './entry-leaf.js'
import {type Fields, wholeNumber} from './fields.js'
import {at, damaged} from './integrity.js'
import {parseLine, readTextLines} from './json-lines.js'
import {LinkGroups} from './link-groups.js'
import {MerkleTree} from './merkle.js'
import type {PackRecord} from './pack-list.js'
import {PathOrder} from './path-order.js'
import {quickEntry} from './quick-entry.js'

export type IndexLine =
  | {readonly sort: 'chunk'; readonly chunk: ChunkRecord}
  | {
      readonly sort: 'entry'
      readonly entry: Entry
      /** Its node in the Merkle tree, a character a byte. */
      readonly node: string
    }

export interface IndexSource {
  readonly snapshot: string
  /** Where given, chunks must lie in these packs, and each pack must hold a chunk. */
  readonly packs?: readonly PackRecord[]
}

/** Waiting for a line takes longer than reading it, so many come at once. */
const BATCH = 512

/** Yields the lines of all segments in order, every cross check done; rejects INTEGRITY or FORMAT_NEWER. */
export async function* readIndex(
  segments: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  source: IndexSource,
): AsyncGenerator<IndexLine, void, undefined> {
  for await (const batch of readIndexBatches(segments, source)) yield* batch
}

/** The same in batches of a few hundred, which costs a third less. */
export async function* readIndexBatches(
  segments: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  source: IndexSource,
): AsyncGenerator<readonly IndexLine[], void, undefined> {
  const checks = new IndexChecks(source.packs)
  let number = 0
  for await (const segment of segments) {
    try {
      const {header, lines} = await readTextLines(segment, 'index', source.snapshot)
      checks.header(header, number)
      let batch: IndexLine[] = []
      for (const line of lines) {
        batch.push(checks.line(line))
        if (batch.length < BATCH) continue
        yield batch
        batch = []
      }
      yield batch
    } catch (error) {
      throw at(`index/${source.snapshot}/${number}`, error)
    }
    number++
  }
  if (number === 0) throw damaged(`${source.snapshot} has no index`)
  checks.end(source.snapshot)
}

export interface IndexSummary {
  readonly entries: number
  readonly chunks: number
  /** Hexadecimal. */
  readonly merkle: string
  /** Sorted. */
  readonly decoders: readonly string[]
  /** Raw bytes of all chunks. */
  readonly raw: number
  /** Stored bytes of all chunks. */
  readonly stored: number
  /** The byte ranges [start, end) of each pack that the snapshot uses, by pack number, ascending and joined. */
  readonly used: ReadonlyMap<number, readonly (readonly [start: number, end: number])[]>
}

/** Reads to the end; what the manifest says must equal this. */
export async function summarise(lines: AsyncIterable<IndexLine>): Promise<IndexSummary> {
  const sum = new IndexSum()
  for await (const line of lines) sum.take(line)
  return sum.end()
}

/** Adds an index up, line by line. */
export class IndexSum {
  readonly #tree = new MerkleTree()
  readonly #decoders = new Set<string>()
  readonly #ranges = new Map<number, [number, number][]>()
  readonly #sums = {entries: 0, chunks: 0, raw: 0, stored: 0}

  take(line: IndexLine): void {
    const sums = this.#sums
    if (line.sort === 'entry') {
      this.#tree.addNode(line.node)
      sums.entries++
      return
    }
    const {chunk} = line
    sums.chunks++
    sums.raw += chunk.rawLength
    sums.stored += chunk.stored
    for (const name of decodersOf(chunk)) this.#decoders.add(name)
    const inPack = this.#ranges.get(chunk.pack) ?? []
    inPack.push([chunk.at, chunk.at + chunk.stored])
    this.#ranges.set(chunk.pack, inPack)
  }

  end(): IndexSummary {
    const decoders = [...this.#decoders].toSorted()
    const used = new Map(Array.from(this.#ranges, ([pack, list]) => [pack, joined(list)]))
    return {...this.#sums, merkle: this.#tree.root(), decoders, used}
  }
}

function joined(ranges: readonly [number, number][]): [number, number][] {
  const result: [number, number][] = []
  for (const [start, end] of ranges.toSorted(([one], [other]) => one - other)) {
    const last = result.at(-1)
    if (last && start <= last[1]) last[1] = Math.max(last[1], end)
    else result.push([start, end])
  }
  return result
}

/** A sealed pack begins with its header, and each of its records ends with a tag. */
function fits({at: start, rawLength, stored}: ChunkRecord, {length, seal}: PackRecord): boolean {
  const [header, tag] = seal === undefined ? [0, 0] : [128, 16]
  return start >= header && start + stored <= length && stored <= rawLength + 88 + tag
}

class IndexChecks {
  readonly #packs: readonly PackRecord[] | undefined
  readonly #named = new Set<number>()
  readonly #lengths: number[] = []
  readonly #hashes = new Set<string>()
  readonly #differences = new Set<number>()
  readonly #order = new PathOrder()
  readonly #links = new LinkGroups()
  #scannedAt: bigint | undefined

  constructor(packs: readonly PackRecord[] | undefined) {
    this.#packs = packs
  }

  header(line: Fields, number: number): void {
    if (line['segment'] !== number) throw damaged('another segment than asked for')
    wholeNumber(line, 'cutter')
    const scannedAt = wide(line['scannedAt'])
    if (this.#scannedAt !== undefined && this.#scannedAt !== scannedAt)
      throw damaged('segments of different scans')
    this.#scannedAt = scannedAt
  }

  line(text: string): IndexLine {
    const quick = quickEntry(text)
    if (quick) return this.#entry(quick)
    const line = parseLine(text)
    return 'chunk' in line
      ? {sort: 'chunk', chunk: this.#chunk(decodeChunkRecord(line))}
      : this.#entry(decodeEntry(line))
  }

  end(snapshot: string): void {
    if (this.#packs && this.#named.size !== this.#packs.length)
      throw damaged(`${snapshot} lists a pack that no chunk names`)
  }

  #chunk(chunk: ChunkRecord): ChunkRecord {
    if (chunk.chunk !== this.#lengths.length) throw damaged('chunk numbers jump')
    // Half of the memory that its text would take.
    const rawHash = Buffer.from(chunk.rawHash, 'hex').toString('binary')
    if (this.#hashes.has(rawHash)) throw damaged('a chunk stands there twice')
    if (this.#packs) {
      const pack = this.#packs[chunk.pack]
      if (!pack || !fits(chunk, pack)) throw damaged('a chunk lies outside the listed packs')
      this.#named.add(chunk.pack)
    }
    if (chunk.delta) this.#difference(chunk, chunk.delta.base)
    this.#hashes.add(rawHash)
    this.#lengths.push(chunk.rawLength)
    return chunk
  }

  #difference({chunk, rawLength}: ChunkRecord, base: number): void {
    if (this.#differences.has(base)) throw damaged("a delta's base is itself a difference")
    if (this.#lengths[base] !== rawLength) throw damaged("a delta's base has another length")
    this.#differences.add(chunk)
  }

  #entry(entry: Entry): IndexLine {
    this.#order.take(entry)
    for (const {at: start, chunk, length} of entry.extents) {
      const rawLength = this.#lengths[chunk]
      if (rawLength === undefined)
        throw damaged('an extent names a chunk that does not stand before it')
      if (start + length > rawLength) throw damaged('an extent leaves its chunk')
    }
    const node = nodeOf(entry)
    this.#links.take(entry, node)
    return {sort: 'entry', entry, node}
  }
}
