import {isDumontError} from '../errors.js'
import type {ChunkRecord} from '../format/chunk-record.js'
import {loadBlake3} from '../format/blake3.js'
import {decodeFrame} from '../format/frame.js'
import type {PackRecord} from '../format/pack-list.js'
import {isExactly, pinOf, samePin} from '../store/pin.js'
import type {Store} from '../store/store.js'

/** Why the store's own word about a pack is not what the snapshot needs; undefined when it is. */
export async function headProblem(
  store: Store,
  pack: PackRecord,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const info = await store.head(pack.key, signal)
  if (info === undefined) return 'missing'
  if (info.length !== pack.length) return `${info.length} bytes instead of ${pack.length}`
  if (isExactly(info, pack.length, pack.pin)) return undefined
  return `the store does not vouch for its checksum (${pack.pin.kind} ${pack.pin.value})`
}

export interface PackReading {
  readonly reason: string | undefined
  /** Numbers of the chunks that cannot be had from this pack any more. */
  readonly badChunks: readonly number[]
}

/** Reads one pack whole and checks its checksum and every chunk in it; with `decode` also what they decode to. */
export async function readProblem(
  store: Store,
  pack: PackRecord,
  {chunks, decode}: {readonly chunks: readonly ChunkRecord[]; readonly decode: boolean},
  signal?: AbortSignal,
): Promise<PackReading> {
  const bytes = await getOrDamage(store, pack, signal)
  if (typeof bytes === 'string') return {badChunks: chunks.map(({chunk}) => chunk), reason: bytes}
  const badChunks: number[] = []
  for (const chunk of chunks) {
    const frame = bytes.subarray(chunk.at, chunk.at + chunk.stored)
    if (!(await isGood(frame, chunk, decode))) badChunks.push(chunk.chunk)
  }
  if (badChunks.length > 0)
    return {badChunks, reason: `${badChunks.length} of ${chunks.length} chunks are damaged`}
  const whole = bytes.length === pack.length && samePin(pinOf(pack.pin.kind, bytes), pack.pin)
  return {badChunks, reason: whole ? undefined : 'its bytes have changed outside the chunks in use'}
}

async function getOrDamage(
  store: Store,
  pack: PackRecord,
  signal?: AbortSignal,
): Promise<Uint8Array | string> {
  try {
    return await store.get(pack.key, {limit: pack.length}, signal)
  } catch (error) {
    if (isDumontError(error) && error.code === 'INTEGRITY') return error.message
    throw error
  }
}

async function isGood(frame: Uint8Array, chunk: ChunkRecord, decode: boolean): Promise<boolean> {
  if (frame.length !== chunk.stored) return false
  if (!decode) return (await loadBlake3()).hex(frame) === chunk.frameHash
  try {
    await decodeFrame(frame, chunk)
    return true
  } catch (error) {
    if (isDumontError(error) && error.code === 'INTEGRITY') return false
    throw error
  }
}
