import type {ParityGroup} from '../format/group-list.js'
import type {PackRecord} from '../format/pack-list.js'
import type {RunSeal} from '../seal/store-keys.js'
import {samePin} from '../store/pin.js'
import type {Store} from '../store/store.js'
import {offProtocol} from '../worker/protocol.js'
import type {CreateResult, IndexClaim} from '../worker/results.js'
import {bothInOrder} from './both-in-order.js'
import {checkGroups, type CheckedGroups} from './group-claim.js'
import {proveSeals} from './object-seals.js'
import {unprovenObjects} from './presence.js'
import {recount, type Recount} from './recount.js'
import type {Allotted} from './signing.js'
import {readPacks, readStoredBatches} from './stored-index.js'

/** Where packs of a snapshot may come from; whatever else a worker names, it has no right to. */
export interface Sources {
  /** Uploads signed in this run. */
  readonly allotted: ReadonlyMap<string, Allotted>
  /** Packs of an interrupted run, accepted in this one. */
  readonly earlier: ReadonlyMap<string, PackRecord>
  /** Packs of the parent. */
  readonly inherited: ReadonlyMap<string, PackRecord>
  /** Groups of the parent that may be kept; absent: none. */
  readonly groups?: readonly ParityGroup[]
  /** Parity objects of each group that this run makes; absent: none. */
  readonly parity?: number
  /** What this run seals with; absent in a store that is not sealed. */
  readonly run?: RunSeal
}

/** Words of a worker that its index must bear out. */
export type Claim = Pick<CreateResult, 'bytes' | 'counts' | 'decoders' | 'index'>

/** What the operator's machine itself has seen of a snapshot that is not committed yet. */
export interface Checked {
  readonly index: IndexClaim
  readonly own: readonly PackRecord[]
  readonly inherited: readonly PackRecord[]
  readonly groups: CheckedGroups
  readonly recount: Recount
}

/**
 * Reads the whole index back from the store and compares it with every word of the worker. Rejects WORKER for a claim that is
 * not so, INTEGRITY for an index that is not what was claimed.
 */
export async function checkClaim(
  store: Store,
  {
    result,
    snapshot,
    sources,
  }: {readonly result: Claim; readonly snapshot: string; readonly sources: Sources},
  signal?: AbortSignal,
): Promise<Checked> {
  const {index} = result
  if (!index) throw offProtocol('a result without an index')
  const place = {id: snapshot, index}
  const [, packs] = await bothInOrder(
    checkIndexObjects(store, {index, snapshot, sources}, signal),
    readPacks(store, place, signal),
  )
  const inherited = packs.filter((pack) => isInherited(pack, sources))
  const groups = await checkGroups(store, place, {packs, sources}, signal)
  const earlier = packs.filter(({key}) => sources.earlier.has(key))
  const ours = packs.filter(({key}) => sources.allotted.has(key))
  await proveSeals(store, [...earlier, ...spread(ours, SEALS_LOOKED_AT)], signal)
  const keys = new Set(inherited.map(({key}) => key))
  const found = await recount(readStoredBatches(store, place, packs, signal), packs, (key) =>
    keys.has(key),
  )
  const difference = disagreement(result, index, found)
  if (difference) throw offProtocol(`a result that its own index contradicts: ${difference}`)
  const own = packs.filter(({key}) => !keys.has(key))
  return {groups, index, inherited, own, recount: found}
}

/**
 * Packs of this run whose seals are compared with what lies in the store. Their salts are the worker's word: one that is wrong
 * throughout would make a snapshot that nobody can open, and a few show that.
 */
const SEALS_LOOKED_AT = 8

/** So many of them, evenly. */
function spread<T>(all: readonly T[], most: number): readonly T[] {
  if (all.length <= most) return all
  return all.filter(
    (_, at) => Math.floor((at * most) / all.length) !== Math.floor(((at - 1) * most) / all.length),
  )
}

/** Only what was signed in this run, in its place, with the bytes that were signed. */
async function checkIndexObjects(
  store: Store,
  {
    index,
    snapshot,
    sources: {allotted, run},
  }: {readonly index: IndexClaim; readonly snapshot: string; readonly sources: Sources},
  signal?: AbortSignal,
): Promise<void> {
  const expected = index.segments.map((segment, number) => ({...segment, name: String(number)}))
  const lists = [
    {...index.packs, name: 'packs'},
    ...(index.groups ? [{...index.groups, name: 'groups'}] : []),
  ]
  const objects = [...expected, ...lists].map(({key, length, name, seal}) => {
    const signed = allotted.get(key)
    if (key !== `index/${snapshot}/${name}` || signed?.length !== length)
      throw offProtocol(`an index object it was not given: ${key}`)
    if (!isOfRun(seal, run)) throw offProtocol(`an index object without its run's seal: ${key}`)
    return signed
  })
  const [unproven] = await unprovenObjects(store, objects, undefined, signal)
  if (unproven !== undefined) throw offProtocol(`an index that is not in the store: ${unproven}`)
}

/** False for packs of this run; whoever names any other than the three sources have is not believed anything. */
function isInherited(pack: PackRecord, {allotted, earlier, inherited, run}: Sources): boolean {
  const {key, seal} = pack
  const signed = allotted.get(key)
  if (signed) {
    if (signed.kind === 'pack' && same(signed, pack) && isOfRun(seal, run)) return false
  } else {
    const known = earlier.get(key) ?? inherited.get(key)
    // The seal of an earlier run is proven by the pack itself.
    if (known && same(known, pack) && (earlier.has(key) || seal === known.seal))
      return !earlier.has(key)
  }
  throw offProtocol(`a pack it had no right to name: ${pack.key}`)
}

function same(one: Pick<PackRecord, 'length' | 'pin'>, other: PackRecord): boolean {
  return one.length === other.length && samePin(one.pin, other.pin)
}

/** Whether a seal, or none, is what the objects of this run have. */
function isOfRun(seal: string | undefined, run: RunSeal | undefined): boolean {
  if (!run || seal === undefined) return !run && seal === undefined
  return Buffer.compare(Buffer.from(seal, 'base64').subarray(0, 40), run.header.subarray(24)) === 0
}

/** The first thing in which the worker's words and the index differ. */
function disagreement(result: Claim, index: IndexClaim, found: Recount): string | undefined {
  const {entries, files, dirs, symlinks, others, torn} = result.counts
  const pairs: readonly (readonly [string, unknown, unknown])[] = [
    ['Merkle root', index.merkle, found.merkle],
    ['entries', index.entries, found.entries],
    ['chunks', index.chunks, found.chunks],
    ['decoders', result.decoders.toSorted(), found.decoders],
    ['counts', [entries, files, dirs, symlinks, others, torn], countsOf(found)],
    ['bytes', [result.bytes.raw, result.bytes.all], [found.bytes.raw, found.bytes.all]],
  ]
  const wrong = pairs.find(([, claimed, seen]) => JSON.stringify(claimed) !== JSON.stringify(seen))
  return wrong && `${wrong[0]} ${JSON.stringify(wrong[1])} instead of ${JSON.stringify(wrong[2])}`
}

function countsOf({counts: {entries, files, dirs, symlinks, others, torn}}: Recount): number[] {
  return [entries, files, dirs, symlinks, others, torn]
}
