import {describe, expect, it} from '@jest/globals'
import {pinOf} from '../../../src/lib/store/pin.js'
import {toByteString} from '../../../src/lib/format/byte-string.js'
import {contentHash} from '../../../src/lib/format/content-hash.js'
import {decodeFrame} from '../../../src/lib/format/frame.js'
import {readIndex, summarise} from '../../../src/lib/format/index-reader.js'
import {
  chunksOf,
  contentsOf,
  expected,
  type Expectation,
  linesOf,
  manifestOf,
  object,
  packsOf,
  segmentsOf,
  sha256,
  snapshots,
} from './golden.js'
import type {Entry} from '../../../src/lib/format/entry.js'

const [first = ''] = snapshots

describe.each(snapshots)('golden snapshot %s', (snapshot) => {
  it('gives back every entry as it was saved', async () => {
    const found: Expectation[] = []
    for await (const {entry, content} of contentsOf(snapshot))
      found.push(asExpected(entry, content))
    expect(found).toEqual(expected(snapshot))
  })

  it('has the content hashes of its content', async () => {
    for await (const {entry, content} of contentsOf(snapshot))
      if (entry.kind === 'file') expect(await contentHash(content)).toBe(entry.hash)
  })

  it('has the index its manifest describes', async () => {
    const {decoders, index} = manifestOf(snapshot)
    const source = {snapshot, packs: await packsOf(snapshot)}
    const summary = await summarise(readIndex(segmentsOf(snapshot), source))
    expect(summary.merkle).toBe(index.merkle)
    expect(summary.entries).toBe(index.entries)
    expect(summary.chunks).toBe(index.chunks)
    expect(summary.decoders).toEqual(decoders)
    expect(summary.stored).toBe(manifestOf(snapshot).bytes.all)
  })

  it('has objects of the digests and checksums it names', async () => {
    const {packs, segments} = manifestOf(snapshot).index
    for (const {key, length, sha256: digest} of [packs, ...segments]) {
      expect(object(key)).toHaveLength(length)
      expect(sha256(object(key))).toBe(digest)
    }
    for (const {key, length, pin} of await packsOf(snapshot)) {
      expect(object(key)).toHaveLength(length)
      expect(pinOf(pin.kind, object(key))).toEqual(pin)
    }
  })
})

describe('damage to the golden snapshot', () => {
  it('is noticed wherever a bit of a frame flips', async () => {
    const pack = object((await packsOf(first))[0]?.key ?? '')
    for (const chunk of await chunksOf(first)) {
      const whole = pack.subarray(chunk.at, chunk.at + chunk.stored)
      for (const place of places(chunk.stored, 40)) {
        const frame = flipped(whole, place)
        await expect(decodeFrame(frame, chunk)).rejects.toMatchObject({code: 'INTEGRITY'})
      }
    }
  })

  it('is noticed by what was decoded where even the hash of the frame lies', async () => {
    const pack = object((await packsOf(first))[0]?.key ?? '')
    const {blake3} = await import('hash-wasm')
    for (const chunk of await chunksOf(first)) {
      const whole = pack.subarray(chunk.at, chunk.at + chunk.stored)
      for (const place of places(chunk.stored, 40)) {
        const frame = flipped(whole, place)
        const decoded = decodeFrame(frame, {...chunk, frameHash: await blake3(frame)})
        // A bit that zstd overlooks gives the same bytes; anything else is refused.
        const outcome = await decoded.then(contentHash, (error: {code: string}) => error.code)
        expect([chunk.rawHash, 'INTEGRITY']).toContain(outcome)
      }
    }
  })

  it('is noticed in an index, or changes nothing', async () => {
    const segments = segmentsOf(first)
    const {merkle} = manifestOf(first).index
    for (const [number, segment] of segments.entries())
      for (const place of places(segment.length, 60)) {
        const damaged = segments.with(number, Buffer.from(flipped(segment, place)))
        const outcome = await summarise(readIndex(damaged, {snapshot: first})).then(
          (summary) => summary.merkle,
          (error: {code: string}) => error.code,
        )
        // Time, flags and system in gzip's header mean nothing.
        expect(outcome).toBe(outcome === merkle && place < 10 ? merkle : 'INTEGRITY')
      }
  })
})

it('lists an incremental snapshot whose chunks lie in packs of its parent', async () => {
  const [, second = ''] = snapshots
  const packs = await packsOf(second)
  expect(packs.map(({key}) => key.split('/')[1])).toEqual([first, second])
  const named = new Set((await chunksOf(second)).map(({pack}) => pack))
  expect(named).toEqual(new Set([0, 1]))
  expect(manifestOf(second).parent).toEqual({
    id: first,
    sha256: sha256(object(`snapshots/${first}.json`)),
  })
  expect((await linesOf(second)).length).toBeLessThan((await linesOf(first)).length)
})

it('lists a snapshot that differs from chunks of snapshots before it', async () => {
  const [, second = '', third = ''] = snapshots
  const chunks = await chunksOf(third)
  const differing = chunks.flatMap(({delta, transform}) =>
    delta ? [`${delta.operation} ${transform}`] : [],
  )
  expect(differing.toSorted()).toEqual([
    'ordered planes2',
    'ordered planes4',
    'xor none',
    'xor none',
    'xor planes2of4',
    'xor planes4',
  ])
  // The base of the first lies in the first snapshot's pack, and no file has it any more.
  const [base, change] = chunks
  expect(change?.delta?.base).toBe(base?.chunk)
  expect((await packsOf(third)).map(({key}) => key.split('/')[1])).toEqual([first, second, third])
  const used = (await linesOf(third)).flatMap((line) =>
    line.sort === 'entry' ? line.entry.extents.map(({chunk}) => chunk) : [],
  )
  expect(used).not.toContain(base?.chunk)
})

function flipped(bytes: Uint8Array, place: number): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy[place] = (copy[place] ?? 0) ^ (1 << (place % 8))
  return copy
}

/** Every byte of a frame's header, and some of the rest. */
function places(length: number, count: number): number[] {
  const rest = Array.from({length: count}, (_, n) => 56 + Math.floor((n * (length - 56)) / count))
  return [...Array.from({length: 56}, (_, n) => n), ...rest].filter((place) => place < length)
}

function asExpected(entry: Entry, content: Buffer): Expectation {
  const text = (bytes: Uint8Array | undefined) => (bytes ? toByteString(bytes) : null)
  return {
    kind: entry.kind,
    root: entry.root,
    path: toByteString(entry.path),
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    user: text(entry.user),
    group: text(entry.group),
    mtime: entry.mtime.toString(),
    xattrs: entry.xattrs.map(([name, value]) => [toByteString(name), value.toString('base64')]),
    size: entry.size,
    hash: entry.hash ?? null,
    sha256: entry.kind === 'file' ? sha256(content) : null,
    data: entry.extents.map(({length, offset}) => [offset, offset + length]),
    link: entry.link ? [entry.link.root, toByteString(entry.link.path)] : null,
    target: text(entry.target),
    device: entry.device ? [...entry.device] : null,
    torn: entry.torn,
  }
}
