import {PACK_MAX} from '../format/chunk-record.js'
import {isExactly, pinOf, samePin} from '../store/pin.js'
import type {Store} from '../store/store.js'
import type {PackClaim} from '../worker/protocol.js'
import {mapBounded} from './map-bounded.js'
import type {SigningRecord} from './signing-record.js'

export interface EarlierOptions {
  readonly store: Store
  readonly record: SigningRecord
  readonly lineage: string
  /** Snapshots that exist: what belongs to one of them is nobody's leftover. */
  readonly committed: ReadonlySet<string>
  /** Missing, or marked for removal. */
  readonly unusable: ReadonlySet<string>
}

const KEY = /^(?:packs|parity)\/(?<snapshot>[^/]+)\/[^/]+$/

/**
 * Which packs and parity objects of an interrupted run may be named by this one: those the store vouches for and this machine has itself signed
 * for this lineage; of others, signed on another machine, only what it has read again as a whole.
 */
export async function acceptEarlier(
  packs: readonly PackClaim[],
  options: EarlierOptions,
  signal?: AbortSignal,
): Promise<PackClaim[]> {
  const records = new Map<string, ReturnType<SigningRecord['read']>>()
  const signedIn = (snapshot: string) => {
    const read = records.get(snapshot) ?? options.record.read(snapshot)
    records.set(snapshot, read)
    return read
  }
  const accepted = await mapBounded(
    packs,
    8,
    (pack) => isAcceptable(pack, {...options, signedIn}, signal),
    signal,
  )
  return packs.filter((_pack, index) => accepted[index])
}

async function isAcceptable(
  pack: PackClaim,
  {
    committed,
    lineage,
    signedIn,
    store,
    unusable,
  }: EarlierOptions & {readonly signedIn: SigningRecord['read']},
  signal?: AbortSignal,
): Promise<boolean> {
  const snapshot = KEY.exec(pack.key)?.groups?.['snapshot']
  if (snapshot === undefined || committed.has(snapshot) || unusable.has(pack.key)) return false
  // Else box and store together could fill the memory here.
  if (pack.length > PACK_MAX) return false
  if (!isExactly(await store.head(pack.key, signal), pack.length, pack.pin)) return false
  const signed = (await signedIn(snapshot)).get(pack.key)
  if (signed)
    return (
      signed.lineage === lineage && signed.length === pack.length && samePin(signed.pin, pack.pin)
    )
  const bytes = await store.get(pack.key, {limit: pack.length}, signal)
  return bytes.length === pack.length && samePin(pinOf(pack.pin.kind, bytes), pack.pin)
}
