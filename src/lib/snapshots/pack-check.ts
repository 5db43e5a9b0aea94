import {isDumontError} from '../errors.js'
import type {ChunkRecord} from '../format/chunk-record.js'
import {loadBlake3} from '../format/blake3.js'
import {decodeFrame} from '../format/frame.js'
import type {PackRecord} from '../format/pack-list.js'
import {isExactly, pinOf, samePin} from '../store/pin.js'
import type {Store} from '../store/store.js'
import {openerOf, type OpenRecord} from './object-seals.js'
import type {StoredChunks} from './stored-chunks.js'

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
  /** Numbers of chunks, in whatever pack, that are damaged and that some of this pack differ from. */
  readonly badBases: readonly number[]
  /** Present when its bytes are those that were stored, whatever they are worth. */
  readonly isAsStored?: true
}

/** Reads one pack whole and checks its checksum and every chunk in it; with `bases` also what they decode to. */
export async function readProblem(
  store: Store,
  pack: PackRecord,
  {bases, chunks}: {readonly chunks: readonly ChunkRecord[]; readonly bases?: StoredChunks},
  signal?: AbortSignal,
): Promise<PackReading> {
  const bytes = await unlessDamaged(() => store.get(pack.key, {limit: pack.length}, signal))
  if (typeof bytes === 'string')
    return {badBases: [], badChunks: chunks.map(({chunk}) => chunk), reason: bytes}
  const badChunks: number[] = []
  const badBases = new Set<number>()
  // What no chunk lies in is parity, or leans on it, and never opened.
  const open = chunks.length > 0 ? openerOf(store, pack) : undefined
  const whole = bytes.length === pack.length && samePin(pinOf(pack.pin.kind, bytes), pack.pin)
  // Those that differ from the same chunk follow one another, so that it is read once.
  for (const chunk of chunks.toSorted((one, other) => baseOf(one) - baseOf(other))) {
    const frame = bytes.subarray(chunk.at, chunk.at + chunk.stored)
    const flaw = await flawOf(frame, {bases, chunk, open}, signal)
    if (flaw === 'damaged') badChunks.push(chunk.chunk)
    else if (flaw === 'base') badBases.add(baseOf(chunk))
  }
  const found = {badBases: [...badBases], badChunks, ...(whole && {isAsStored: true as const})}
  if (badChunks.length > 0)
    return {...found, reason: `${badChunks.length} of ${chunks.length} chunks are damaged`}
  if (whole) return {...found, reason: undefined}
  const where = chunks.length > 0 ? ' outside the chunks in use' : ''
  return {...found, reason: `its bytes have changed${where}`}
}

async function flawOf(
  frame: Uint8Array,
  {
    bases,
    chunk,
    open,
  }: {
    readonly chunk: ChunkRecord
    readonly bases: StoredChunks | undefined
    readonly open: OpenRecord | undefined
  },
  signal?: AbortSignal,
): Promise<'base' | 'damaged' | undefined> {
  if (frame.length !== chunk.stored) return 'damaged'
  if (!bases) return (await loadBlake3()).hex(frame) === chunk.frameHash ? undefined : 'damaged'
  const {delta} = chunk
  const base = delta && (await unlessDamaged(() => bases.raw(delta.base, signal)))
  if (typeof base === 'string')
    return (await loadBlake3()).hex(frame) === chunk.frameHash ? 'base' : 'damaged'
  const raw = await unlessDamaged(() =>
    decodeFrame(
      frame,
      chunk,
      base && (() => Promise.resolve(base)),
      open && ((record) => open(record, chunk.at)),
    ),
  )
  return typeof raw === 'string' ? 'damaged' : undefined
}

function baseOf({delta}: ChunkRecord): number {
  return delta?.base ?? -1
}

/** What is damaged about it instead, as text. */
async function unlessDamaged<T>(read: () => Promise<T>): Promise<T | string> {
  try {
    return await read()
  } catch (error) {
    if (isDumontError(error) && error.code === 'INTEGRITY') return error.message
    throw error
  }
}
