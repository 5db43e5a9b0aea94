import {at as within, damaged} from '../format/integrity.js'
import type {ObjectSeal, SealedKind, StoreKeys} from '../seal/store-keys.js'
import type {Store} from '../store/store.js'
import {mapBounded} from './map-bounded.js'

/** An object of a box, as a manifest or a list of packs names it. */
export interface NamedObject {
  readonly key: string
  /** Base64; `docs/format.md` section 8. */
  readonly seal?: string
}

/** A store, with the keys it may have. */
interface Keyed {
  readonly keys?: StoreKeys
}

const HEADER = 128
const HEADS_AT_ONCE = 16

/** What opens an object; undefined in a store that is not sealed. INTEGRITY for a missing seal, and for one that is out of place. */
export function objectSeal(
  store: Keyed,
  kind: SealedKind,
  object: NamedObject,
): ObjectSeal | undefined {
  requireSeal(store, object)
  const {key, seal} = object
  if (seal === undefined) return undefined
  return named(key, () => store.keys?.objectSeal(kind, seal))
}

/** In a sealed store every object has its seal, elsewhere none has: INTEGRITY otherwise. */
export function requireSeal({keys}: Keyed, {key, seal}: NamedObject): void {
  const isSealed = keys?.protection === 'sealed'
  if (isSealed && seal === undefined)
    throw damaged(`${key} is named without its seal, in a store where everything has one`)
  if (!isSealed && seal !== undefined)
    throw damaged(`${key} is named with a seal, in a store that is not sealed`)
}

/** What a whole segment or list holds, opened where it is sealed. */
export function openObject(
  store: Keyed,
  kind: SealedKind,
  object: NamedObject,
  bytes: Uint8Array,
): Uint8Array {
  const {key, seal} = object
  const opening = objectSeal(store, kind, object)
  const {keys} = store
  if (!opening || !keys || seal === undefined) return bytes
  if (Buffer.compare(bytes.subarray(0, HEADER), opening.header) !== 0)
    throw damaged(`${key} is not the object that its seal names`)
  return named(key, () => keys.open(kind, seal, bytes.subarray(HEADER), HEADER))
}

/** The frame in the record that begins at this offset. */
export type OpenRecord = (record: Uint8Array, at: number) => Uint8Array

/** Opens the records of one pack; undefined in a store that is not sealed. */
export function openerOf(store: Keyed, pack: NamedObject): OpenRecord | undefined {
  requireSeal(store, pack)
  const {keys} = store
  const {seal} = pack
  return keys && seal !== undefined
    ? (record, at) => keys.open('pack', seal, record, at)
    : undefined
}

/** Compares each pack's header in the store with the seal it is named by; INTEGRITY for one that would not open. */
export async function proveSeals(
  store: Store,
  packs: readonly NamedObject[],
  signal?: AbortSignal,
): Promise<void> {
  const prove = async (pack: NamedObject) => {
    const seal = objectSeal(store, 'pack', pack)
    if (!seal) return
    const header = await store.get(pack.key, {limit: HEADER, range: [0, HEADER - 1]}, signal)
    if (Buffer.compare(header, seal.header) !== 0)
      throw damaged(`${pack.key} does not have the seal it is named by`)
  }
  await mapBounded(packs, HEADS_AT_ONCE, prove, signal)
}

function named<T>(key: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    throw within(key, error)
  }
}
