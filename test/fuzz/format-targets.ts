import {gzipSync} from 'node:zlib'
import {crc32} from 'node:zlib'
import {isDeepStrictEqual} from 'node:util'
import {loadBlake3} from '../../src/lib/format/blake3.js'
import {
  displayBytes,
  displayByteString,
  fromByteString,
  toByteString,
} from '../../src/lib/format/byte-string.js'
import type {ByteString} from '../../src/lib/format/byte-string.js'
import {CHUNK_MAX, CODECS, TRANSFORMS} from '../../src/lib/format/chunk-record.js'
import {decodeEntry, isPlainPath} from '../../src/lib/format/entry.js'
import {decodeFrame, parseFrameHeader} from '../../src/lib/format/frame.js'
import {MOST_MEMBERS, MOST_PARITY, parseGroupList} from '../../src/lib/format/group-list.js'
import {type IndexLine, readIndex} from '../../src/lib/format/index-reader.js'
import {parseLine} from '../../src/lib/format/json-lines.js'
import {encodeManifest, manifestKey, parseManifest} from '../../src/lib/format/manifest.js'
import {parsePackList} from '../../src/lib/format/pack-list.js'
import {decodePlanes} from '../../src/lib/format/planes.js'
import {quickEntry} from '../../src/lib/format/quick-entry.js'
import {checkSnapshotId, isSnapshotId, snapshotTime} from '../../src/lib/format/snapshot-id.js'
import {decodeZstd, loadZstd} from '../../src/lib/format/zstd.js'
import {untrusted} from '../../src/lib/untrusted.js'
import {chunksOf, manifestOf, object, packsOf, segmentsOf, snapshots} from '../lib/format/golden.js'
import {gunzipSync} from 'node:zlib'
import {bufferOf, insist, isPlain, refusing, type Target, textOf} from './target.js'

const DAMAGE = ['INTEGRITY', 'FORMAT_NEWER'] as const
/** Frames longer than this take their time and tell nothing new. */
const SHORT = 20_000

async function frames(): Promise<Buffer[]> {
  const found: Buffer[] = []
  for (const snapshot of snapshots) {
    const packs = (await packsOf(snapshot)).map(({key}) => object(key))
    for (const {at, pack, stored} of await chunksOf(snapshot))
      if (stored < SHORT) found.push((packs[pack] ?? Buffer.alloc(0)).subarray(at, at + stored))
  }
  return found
}

async function payloads(
  isWanted: (codec: string, transform: string) => boolean,
): Promise<Buffer[]> {
  return (await frames()).flatMap((frame) => {
    const {codec, headerLength, transform} = parseFrameHeader(frame)
    return isWanted(codec, transform) ? [frame.subarray(headerLength)] : []
  })
}

/** Checksums made right, so that what lies behind them is reached. */
const frame: Target = {
  name: 'frame',
  seeds: frames,
  async run(input) {
    const blake3 = await loadBlake3()
    const bytes = Buffer.from(input)
    if (bytes.length < 56) {
      await refusing(DAMAGE, () => parseFrameHeader(bytes))
      return
    }
    const base = Buffer.alloc(Math.min(bytes.readUInt32LE(12), CHUNK_MAX))
    const length = bytes.readUInt8(5)
    if (length === 88 && bytes.length >= 88) bytes.set(blake3.bytes(base), 52)
    if ((length === 56 || length === 88) && bytes.length >= length)
      bytes.writeUInt32LE(crc32(bytes.subarray(0, length - 4)), length - 4)
    const expected = {
      rawHash: bytes.toString('hex', 20, 52),
      rawLength: bytes.readUInt32LE(12),
      frameHash: blake3.hex(bytes),
    }
    const raw = await refusing(DAMAGE, () => decodeFrame(bytes, expected, async () => base))
    insist(
      !raw || (raw.length === expected.rawLength && raw.length <= CHUNK_MAX),
      'length of a chunk',
    )
  },
}

const zstd: Target = {
  name: 'zstd',
  seeds: () => payloads((codec, transform) => codec === 'zstd' && transform === 'none'),
  async run(input) {
    const decoder = await loadZstd()
    for (const length of [1, 1000, 65_536, 65_792])
      insist(
        ((await refusing(DAMAGE, () => decodeZstd(decoder, input, length))) ?? {length}).length ===
          length,
        'length of a frame',
      )
  },
}

const planes: Target = {
  name: 'planes',
  seeds: () => payloads((_, transform) => transform !== 'none'),
  async run(input) {
    const decoder = await loadZstd()
    for (const transform of TRANSFORMS)
      for (const codec of CODECS.slice(0, 2))
        for (const length of [7, input.length, 40_003])
          if (transform !== 'none') {
            const of = {payload: bufferOf(input), transform, codec, length}
            const raw = await refusing(DAMAGE, () => decodePlanes(decoder, of))
            insist(!raw || raw.length === length, 'length of a chunk')
          }
  },
}

const GOLDEN = snapshots[0] ?? ''

function plainLines(bytes: Uint8Array): Buffer {
  return Buffer.from(
    gunzipSync(bytes)
      .toString('utf8')
      .replaceAll(/"snapshot":"[^"]*"/g, `"snapshot":"${GOLDEN}"`),
  )
}

function checkLine(line: IndexLine): void {
  if (line.sort === 'chunk') {
    insist(
      line.chunk.rawLength <= CHUNK_MAX && line.chunk.stored <= CHUNK_MAX + 88,
      'length of a chunk',
    )
    return
  }
  const {extents, link, path, size} = line.entry
  for (const one of [path, link?.path ?? path]) {
    insist(isPlainPath(one.toString('latin1')) && !one.includes(0), 'a path that leaves its root')
    insist(isPlain(displayBytes(one)), 'a name that drives the terminal')
  }
  for (const {at, length, offset} of extents)
    insist(offset >= 0 && offset + length <= size && at + length <= CHUNK_MAX, 'an extent')
}

const index: Target = {
  name: 'index',
  seeds: () => snapshots.flatMap((id) => segmentsOf(id).slice(0, 1)).map(plainLines),
  async run(input) {
    await refusing(DAMAGE, async () => {
      for await (const line of readIndex([gzipSync(input, {level: 1})], {snapshot: GOLDEN}))
        checkLine(line)
    })
    for (const text of textOf(input).split('\n')) {
      const quick = quickEntry(text)
      if (quick)
        insist(isDeepStrictEqual(quick, decodeEntry(parseLine(text))), `two readings of ${text}`)
    }
  },
}

const packs: Target = {
  name: 'packs',
  seeds: () => snapshots.map((id) => plainLines(object(manifestOf(id).index.packs.key))),
  async run(input) {
    const list = await refusing(DAMAGE, () => parsePackList(gzipSync(input, {level: 1}), GOLDEN))
    for (const {key, length} of list ?? [])
      insist(
        /^packs\/[A-Za-z0-9-]+\/[A-Za-z0-9-]+$/.test(key) && length > 0 && length <= 1 << 25,
        'a pack',
      )
  },
}

const PIN = {kind: 'crc32', value: 'AAAAAA=='}
const grouped = (key: string, length = 9) => ({key, length, pin: PIN})
const GROUP = {
  group: 0,
  members: [grouped(`packs/${GOLDEN}/0-0-1`), grouped(`index/${GOLDEN}/0`, 5)],
  parity: [grouped(`parity/${GOLDEN}/0-1-1`), grouped(`parity/${GOLDEN}/0-2-1`)],
}

const groups: Target = {
  name: 'groups',
  seeds: () => [
    Buffer.from(
      [{kind: 'groups', format: 1, snapshot: GOLDEN}, GROUP]
        .map((line) => `${JSON.stringify(line)}\n`)
        .join(''),
    ),
  ],
  async run(input) {
    const list = await refusing(DAMAGE, () => parseGroupList(gzipSync(input, {level: 1}), GOLDEN))
    const all = (list ?? []).flatMap(({members, parity}) => {
      insist(members.length >= 1 && members.length <= MOST_MEMBERS, 'members')
      insist(parity.length >= 1 && parity.length <= MOST_PARITY, 'parity')
      return [...members, ...parity]
    })
    insist(new Set(all.map(({key}) => key)).size === all.length, 'an object twice')
    for (const {key, length} of all)
      insist(
        /^(?:packs|parity|index)\/[A-Za-z0-9-]+\/[A-Za-z0-9-]+$/.test(key) &&
          length > 0 &&
          length <= 1 << 25,
        "a group's object",
      )
  },
}

const gzip: Target = {
  name: 'gzip',
  seeds: () => snapshots.map((id) => object(manifestOf(id).index.packs.key)),
  async run(input) {
    await refusing(DAMAGE, () => parsePackList(input, GOLDEN))
  },
}

const manifest: Target = {
  name: 'manifest',
  seeds: () => snapshots.map((id) => object(manifestKey(id))),
  async run(input) {
    for (const id of snapshots) {
      const found = await refusing(DAMAGE, () => parseManifest(input, manifestKey(id)))
      if (found) {
        insist(found.id === id, 'another manifest')
        insist(
          found.index.segments.every(({key}) => key.startsWith(`index/${id}/`)),
          'an index elsewhere',
        )
        // What can be read can be written, apart from the room a writer leaves.
        if (input.length < 6000) encodeManifest(found)
      }
    }
  },
}

const byteString: Target = {
  name: 'byte-string',
  seeds: () =>
    ['"a b"', '{"b64":"/wBh"}', '"\\u001b[31m"', '"\\ud83d\\ude00"', '["a",{"b64":"//79"}]'].map(
      (text) => Buffer.from(text),
    ),
  async run(input) {
    let value: unknown
    try {
      value = JSON.parse(textOf(input))
    } catch {
      value = textOf(input)
    }
    for (const one of [value].flat()) {
      const bytes = await refusing(DAMAGE, () => fromByteString(one))
      if (!bytes) continue
      insist(!bytes.includes(0), 'a NUL in a path')
      insist(
        isPlain(displayBytes(bytes)) && isPlain(displayByteString(one as ByteString)),
        'a name that drives the terminal',
      )
      insist(fromByteString(toByteString(bytes)).equals(bytes), 'a name that changes')
    }
  },
}

const shown: Target = {
  name: 'untrusted',
  seeds: () =>
    ['plain', '\u001B[2J', '\u009B31m', '\u202Eabc', '\u2028', '\u{E0001}', '\u061C'].map((text) =>
      Buffer.from(text),
    ),
  run(input) {
    // Bytes as characters reach C1 and halves of pairs that no UTF-8 can say.
    for (const text of [
      textOf(input),
      bufferOf(input).toString('latin1'),
      bufferOf(input).toString('utf16le'),
    ]) {
      const result = untrusted(text, 200)
      insist(isPlain(result) && result.length <= 201, 'text that drives the terminal')
      insist(untrusted(text, 200) === result, 'the same text shown twice alike')
    }
    insist(isPlain(displayBytes(input)), 'bytes that drive the terminal')
  },
}

const snapshotId: Target = {
  name: 'snapshot-id',
  seeds: () => snapshots.map((id) => Buffer.from(id)),
  async run(input) {
    const text = textOf(input)
    await refusing(['USAGE'], () => checkSnapshotId(text))
    const time = snapshotTime(text)
    insist(isSnapshotId(text) === (time !== undefined), 'an id without a time')
    if (time)
      insist(
        text.startsWith(time.toISOString().replaceAll(/[-:]|\.\d+/g, '')) && text.length === 23,
        'an id',
      )
  },
}

export const FORMAT_TARGETS = [
  frame,
  zstd,
  planes,
  index,
  packs,
  groups,
  gzip,
  manifest,
  byteString,
  shown,
  snapshotId,
]
