import {crc32} from 'node:zlib'
import {loadBlake3} from './blake3.js'
import {
  CHUNK_MAX,
  CODECS,
  type Codec,
  DELTAS,
  type DeltaOperation,
  TRANSFORMS,
  type Transform,
} from './chunk-record.js'
import {undoDifference} from './delta.js'
import {at, damaged, newer} from './integrity.js'
import {decodePlanes} from './planes.js'
import {decodeZstd, loadZstd} from './zstd.js'
import {DumontError} from '../errors.js'

/** What a frame says about itself; lengths in bytes, hashes in hexadecimal. */
export interface FrameHeader {
  readonly headerLength: number
  readonly transform: Transform
  readonly codec: Codec
  readonly rawLength: number
  readonly payloadLength: number
  readonly rawHash: string
  readonly delta: {readonly operation: DeltaOperation; readonly baseHash: string} | undefined
}

/** What the index says a frame must be. */
export interface ExpectedChunk {
  readonly rawHash: string
  readonly rawLength: number
  readonly frameHash: string
}

/** Gives the raw bytes of the base that a difference names; rejects INTEGRITY when they cannot be had. */
export type FindBase = () => Promise<Uint8Array>

const SHORT = 56
const LONG = 88

/**
 * The raw bytes of one whole frame. The stored bytes are proven before any is opened or decoded, a base before it is used, the
 * raw bytes after; rejects INTEGRITY, or BOX_UNSUITABLE for what only a GPU decodes.
 */
export async function decodeFrame(
  stored: Uint8Array,
  expected: ExpectedChunk,
  findBase?: FindBase,
  open: (record: Uint8Array) => Uint8Array = (record) => record,
): Promise<Uint8Array> {
  const blake3 = await loadBlake3()
  try {
    if (blake3.hex(stored) !== expected.frameHash) throw damaged('the stored bytes have changed')
    const frame = open(stored)
    const header = parseFrameHeader(frame)
    if (header.headerLength + header.payloadLength !== frame.length)
      throw damaged('a frame of another length')
    if (header.rawHash !== expected.rawHash || header.rawLength !== expected.rawLength)
      throw damaged("another chunk's frame")
    const content = await decodePayload(header, buffer(frame).subarray(header.headerLength))
    const raw = header.delta ? await undo(header, content, findBase) : content
    // A payload that is neither coded nor transformed has whatever length it has.
    if (raw.length !== expected.rawLength || blake3.hex(raw) !== expected.rawHash)
      throw damaged("the decoded bytes are not the chunk's")
    return raw
  } catch (error) {
    throw at(`chunk ${expected.rawHash.slice(0, 16)}`, error)
  }
}

/** Reads the header at the start of a frame; INTEGRITY, or FORMAT_NEWER for a later one. */
export function parseFrameHeader(frame: Uint8Array): FrameHeader {
  const bytes = buffer(frame)
  if (bytes.length < SHORT) throw damaged('a frame shorter than its header')
  if (bytes.toString('latin1', 0, 4) !== 'dmtC') throw damaged('not a frame')
  const headerLength = bytes.readUInt8(5)
  if ((headerLength !== SHORT && headerLength !== LONG) || bytes.length < headerLength)
    throw damaged('a frame header of impossible length')
  // The checksum first: a damaged header must not look like a newer format.
  if (crc32(bytes.subarray(0, headerLength - 4)) !== bytes.readUInt32LE(headerLength - 4))
    throw damaged('a damaged frame header')
  if (bytes.readUInt8(4) !== 1 || bytes.readUInt8(9) !== 0)
    throw newer('a frame', bytes.readUInt8(4))
  return headerFields(bytes, headerLength)
}

function headerFields(bytes: Buffer, headerLength: number): FrameHeader {
  const transform = TRANSFORMS[bytes.readUInt8(6)]
  const codec = CODECS[bytes.readUInt8(7)]
  const operation = DELTAS[bytes.readUInt8(8)]
  if (!transform || !codec || !operation || bytes.readUInt16LE(10) !== 0)
    throw damaged('a frame with an unknown transform, codec or delta')
  if ((headerLength === LONG) !== (operation !== 'none'))
    throw damaged('a frame header of impossible length')
  const rawLength = bytes.readUInt32LE(12)
  const payloadLength = bytes.readUInt32LE(16)
  if (payloadLength < 1 || payloadLength > rawLength || rawLength > CHUNK_MAX)
    throw damaged('a frame of impossible length')
  return {
    headerLength,
    transform,
    codec,
    rawLength,
    payloadLength,
    rawHash: bytes.toString('hex', 20, 52),
    delta: operation === 'none' ? undefined : {operation, baseHash: bytes.toString('hex', 52, 84)},
  }
}

async function decodePayload(header: FrameHeader, payload: Buffer): Promise<Uint8Array> {
  const {codec, rawLength, transform} = header
  if (codec === 'ans')
    throw new DumontError('BOX_UNSUITABLE', 'a chunk of codec ans: only an NVIDIA GPU decodes it', {
      hint: 'use a box with one, or transcode the snapshot there (dumont snapshot transcode)',
    })
  if (transform !== 'none')
    return decodePlanes(await loadZstd(), {payload, transform, codec, length: rawLength})
  return codec === 'zstd' ? decodeZstd(await loadZstd(), payload, rawLength) : payload
}

async function undo(
  {delta, rawLength, transform}: FrameHeader,
  change: Uint8Array,
  findBase: FindBase | undefined,
): Promise<Uint8Array> {
  if (!delta || !findBase) throw damaged('the chunk that it differs from is not at hand')
  const base = await findBase()
  const blake3 = await loadBlake3()
  if (base.length !== rawLength || blake3.hex(base) !== delta.baseHash)
    throw damaged('the chunk that it differs from is another one')
  return undoDifference({base, change, operation: delta.operation, transform})
}

function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
