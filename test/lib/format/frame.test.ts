import {crc32} from 'node:zlib'
import {beforeAll, describe, expect, it} from '@jest/globals'
import {blake3} from 'hash-wasm'
import {decodeFrame, parseFrameHeader} from '../../../src/lib/format/frame.js'

const RAW = Buffer.from('data')
let rawHash = ''
beforeAll(async () => {
  rawHash = await blake3(RAW)
})

interface Parts {
  version?: number
  length?: number
  transform?: number
  codec?: number
  delta?: number
  encryption?: number
  zero?: number
  raw?: number
  payload?: number
}

/** A header as docs/format.md section 3 lays it out, its checksum right. */
function header(parts: Parts): Buffer {
  const length = parts.length ?? 56
  const bytes = Buffer.alloc(length)
  bytes.write('dmtC')
  const small = [
    parts.version ?? 1,
    length,
    parts.transform ?? 0,
    parts.codec ?? 0,
    parts.delta ?? 0,
  ]
  bytes.set([...small, parts.encryption ?? 0], 4)
  bytes.writeUInt16LE(parts.zero ?? 0, 10)
  bytes.writeUInt32LE(parts.raw ?? 4, 12)
  bytes.writeUInt32LE(parts.payload ?? 4, 16)
  bytes.write(rawHash, 20, 'hex')
  bytes.writeUInt32LE(crc32(bytes.subarray(0, length - 4)), length - 4)
  return bytes
}

async function decode(frame: Uint8Array, rawLength = 4): Promise<Uint8Array> {
  return decodeFrame(frame, {rawHash, rawLength, frameHash: await blake3(frame)})
}

/** A plane's method and length, five bytes. */
function head(method: number, length: number): Buffer {
  const bytes = Buffer.alloc(5)
  bytes.writeUInt8(method)
  bytes.writeUInt32LE(length, 1)
  return bytes
}

describe('a frame', () => {
  it('of bytes that are shorter than it says is refused, though they have the right hash', async () => {
    const shorter = Buffer.concat([header({payload: 4, raw: 5}), RAW])
    await expect(decode(shorter, 5)).rejects.toMatchObject({code: 'INTEGRITY'})
  })

  it('gives its raw bytes', async () => {
    expect(Buffer.from(await decode(Buffer.concat([header({}), RAW])))).toEqual(RAW)
  })

  it('describes itself without an index', () => {
    expect(parseFrameHeader(header({}))).toEqual({
      headerLength: 56,
      transform: 'none',
      codec: 'none',
      rawLength: 4,
      payloadLength: 4,
      rawHash,
      delta: undefined,
    })
  })

  it.each<Parts>([
    {transform: 4},
    {codec: 3},
    {delta: 3},
    {delta: 1},
    {length: 88},
    {zero: 1},
    {raw: 0, payload: 0},
    {payload: 0},
    {payload: 5},
    {payload: 3},
    {raw: 4_194_305},
    {raw: 3},
    {raw: 5},
    {transform: 1},
    {transform: 3},
    {codec: 1},
    {version: 9, codec: 9, length: 57},
    {length: 88, delta: 2},
  ])('with a header that lies is refused: %j', async (parts) => {
    await expect(decode(Buffer.concat([header(parts), RAW]))).rejects.toMatchObject({
      code: 'INTEGRITY',
    })
  })

  it.each<Parts>([{version: 2}, {encryption: 1}])(
    'of a later release is refused as newer: %j',
    async (parts) => {
      await expect(decode(Buffer.concat([header(parts), RAW]))).rejects.toMatchObject({
        code: 'FORMAT_NEWER',
      })
    },
  )

  it('that only a GPU decodes is not called newer', async () => {
    await expect(decode(Buffer.concat([header({codec: 2}), RAW]))).rejects.toMatchObject({
      code: 'BOX_UNSUITABLE',
      hint: expect.stringContaining('dumont snapshot transcode'),
    })
  })

  it.each([0, 3, 5, 55, 56, 59])('cut to %i bytes is refused', async (length) => {
    const frame = Buffer.concat([header({}), RAW]).subarray(0, length)
    await expect(decode(frame)).rejects.toMatchObject({code: 'INTEGRITY'})
  })

  it('with a damaged header is not called newer', async () => {
    const frame = Buffer.concat([header({}), RAW])
    frame[4] = 2
    await expect(decode(frame)).rejects.toMatchObject({code: 'INTEGRITY'})
  })

  it('is proven before it is decoded', async () => {
    const expected = {rawHash, rawLength: 4, frameHash: '00'.repeat(32)}
    await expect(decodeFrame(Buffer.from('anything'), expected)).rejects.toThrow(
      `chunk ${rawHash.slice(0, 16)}: the stored bytes have changed`,
    )
  })

  it('of another chunk is refused', async () => {
    const frame = Buffer.concat([header({}), RAW])
    const expected = {rawHash: await blake3('other'), rawLength: 4, frameHash: await blake3(frame)}
    await expect(decodeFrame(frame, expected)).rejects.toThrow("another chunk's frame")
  })
})

describe('planes', () => {
  // zstd frame by hand: magic, single segment with one byte of content size, one last raw block.
  const zstd = (content: string, size = content.length) =>
    Buffer.concat([
      Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0x20, size, 1 | (content.length << 3), 0, 0),
      Buffer.from(content),
    ])
  const four = zstd('abcd')

  async function planes(payload: Buffer, codec = 1): Promise<Uint8Array> {
    const raw = 100
    const whole = header({transform: 1, codec, raw, payload: payload.length})
    return decode(Buffer.concat([whole, payload]), raw)
  }

  it('that are sound fail by the hash of the chunk alone', async () => {
    const payload = Buffer.concat([
      head(0, 50),
      head(1, 59),
      Buffer.alloc(50),
      zstd('x'.repeat(50)),
    ])
    await expect(planes(payload.subarray(0, 100))).rejects.toThrow(
      'a plane ends behind its payload',
    )
    const frame = Buffer.concat([
      head(0, 2),
      head(1, 11),
      Buffer.from('ab'),
      zstd('cd'),
      Buffer.from('t'),
    ])
    const whole = Buffer.concat([header({transform: 1, codec: 1, raw: 24, payload: 24}), frame])
    expect(frame).toHaveLength(24)
    await expect(decode(whole, 24)).rejects.toMatchObject({code: 'INTEGRITY'})
  })

  it.each<[string, Buffer]>([
    ['nothing but half a head', head(0, 50).subarray(0, 3)],
    ['a plane behind the end', Buffer.concat([head(0, 50), head(0, 51), Buffer.alloc(89)])],
    ['an absurd length', Buffer.concat([head(0, 50), head(0, 0xff_ff_ff_ff), Buffer.alloc(50)])],
    ['a plane too short', Buffer.concat([head(0, 49), head(0, 10), Buffer.alloc(59)])],
    ['an unknown method', Buffer.concat([head(2, 50), head(0, 10), Buffer.alloc(60)])],
    [
      'another content size',
      Buffer.concat([head(1, four.length), head(0, 50), four, Buffer.alloc(50)]),
    ],
    ['no zstd', Buffer.concat([head(1, 20), head(0, 50), Buffer.alloc(70)])],
    ['an empty frame', Buffer.concat([head(1, 0), head(0, 50), Buffer.alloc(50)])],
    [
      'a size that lies',
      Buffer.concat([head(1, 13), head(1, 13), zstd('abcd', 50), zstd('abcd', 50)]),
    ],
    ['two frames', Buffer.concat([head(1, 26), head(0, 50), zstd('abcd', 50), zstd('abcd', 50)])],
  ])('with %s are refused', async (_, payload) => {
    await expect(planes(payload)).rejects.toMatchObject({code: 'INTEGRITY'})
  })

  it('coded without a codec are refused', async () => {
    const payload = Buffer.concat([head(1, 13), head(0, 50), four, Buffer.alloc(50)])
    await expect(planes(payload, 0)).rejects.toThrow('a plane of unknown method')
  })
})
