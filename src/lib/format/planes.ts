import type {ZSTDDecoder} from 'zstddec'
import type {Codec, Transform} from './chunk-record.js'
import {damaged} from './integrity.js'
import {decodeZstd} from './zstd.js'

type Planes = Exclude<Transform, 'none'>

interface PlanesPayload {
  readonly payload: Buffer
  readonly transform: Planes
  readonly codec: Codec
  /** Raw bytes of the chunk. */
  readonly length: number
}

const HEAD = 5
const WIDTH = {planes2: 2, planes4: 4, planes2of4: 4}
const COUNT = {planes2: 2, planes4: 4, planes2of4: 2}

/** The raw bytes of a payload of byte planes; INTEGRITY. */
export function decodePlanes(decoder: ZSTDDecoder, of: PlanesPayload): Uint8Array {
  const {length, payload, transform} = of
  const words = Math.floor(length / WIDTH[transform])
  const count = COUNT[transform]
  if (payload.length < count * HEAD) throw damaged('a payload too short for its planes')
  let at = count * HEAD
  const planes = Array.from({length: count}, (_, index) => {
    const size = payload.readUInt32LE(index * HEAD + 1)
    const body = payload.subarray(at, at + size)
    if (body.length !== size) throw damaged('a plane ends behind its payload')
    at += size
    return decodePlane(decoder, of, {body, method: payload.readUInt8(index * HEAD), words})
  })
  const tail = payload.subarray(at)
  if (tail.length !== length - words * WIDTH[transform]) throw damaged('a tail of another length')
  const raw = new Uint8Array(length)
  JOIN[transform](planes, raw, words)
  raw.set(tail, length - tail.length)
  return raw
}

function decodePlane(
  decoder: ZSTDDecoder,
  {codec}: PlanesPayload,
  {body, method, words}: {body: Buffer; method: number; words: number},
): Uint8Array {
  if (method === 1 && codec === 'zstd' && words > 0) return decodeZstd(decoder, body, words)
  if (method !== 0) throw damaged('a plane of unknown method')
  if (body.length !== words) throw damaged('a plane of another length')
  return body
}

type Join = (planes: readonly Uint8Array[], raw: Uint8Array, words: number) => void

// A word was rotated left by one before it was split: bit 0 of the lowest plane is the sign, and every other bit
// lies one place above its own.
const JOIN: Record<Planes, Join> = {
  planes2: (planes, raw, words) => {
    const [low = raw, high = raw] = planes
    for (let word = 0, at = 0; word < words; word++, at += 2) {
      const l = low[word] ?? 0
      const h = high[word] ?? 0
      raw[at] = (l >> 1) | (h << 7)
      raw[at + 1] = (h >> 1) | (l << 7)
    }
  },
  planes4: (planes, raw, words) => {
    const [first = raw, second = raw, third = raw, fourth = raw] = planes
    for (let word = 0, at = 0; word < words; word++, at += 4) {
      const a = first[word] ?? 0
      const b = second[word] ?? 0
      const c = third[word] ?? 0
      const d = fourth[word] ?? 0
      raw[at] = (a >> 1) | (b << 7)
      raw[at + 1] = (b >> 1) | (c << 7)
      raw[at + 2] = (c >> 1) | (d << 7)
      raw[at + 3] = (d >> 1) | (a << 7)
    }
  },
  planes2of4: (planes, raw, words) => {
    const [low = raw, high = raw] = planes
    for (let word = 0, at = 2; word < words; word++, at += 4) {
      const l = low[word] ?? 0
      const h = high[word] ?? 0
      raw[at] = (l >> 1) | (h << 7)
      raw[at + 1] = (h >> 1) | (l << 7)
    }
  },
}
