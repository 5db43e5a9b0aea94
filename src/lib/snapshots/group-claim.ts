import type {ParityGroup, StoredObject} from '../format/group-list.js'
import type {PackRecord} from '../format/pack-list.js'
import {samePin} from '../store/pin.js'
import type {Store} from '../store/store.js'
import {offProtocol} from '../worker/protocol.js'
import type {IndexClaim} from '../worker/results.js'
import type {Sources} from './create-claim.js'
import {readGroups} from './stored-index.js'

/** The groups of a snapshot that is not committed yet, every object of which it had a right to name. */
export interface CheckedGroups {
  /** Of the parent. */
  readonly kept: readonly ParityGroup[]
  /** Of objects of this run, or of an interrupted one. */
  readonly made: readonly ParityGroup[]
  /** How many of its packs are in no group. */
  readonly unprotected: number
}

/** Reads the list of groups back; WORKER for a group that is neither the parent's nor made of what this run has stored. */
export async function checkGroups(
  store: Store,
  place: {readonly id: string; readonly index: IndexClaim},
  {packs, sources}: {readonly packs: readonly PackRecord[]; readonly sources: Sources},
  signal?: AbortSignal,
): Promise<CheckedGroups> {
  const groups = await readGroups(store, place, signal)
  const known = new Set(sources.groups?.map((group) => JSON.stringify(group)))
  const isKept = (group: ParityGroup) => known.has(JSON.stringify(group))
  const made = groups.filter((group) => !isKept(group))
  for (const group of made) requireOwn(group, sources)
  const members = new Set(groups.flatMap((group) => group.members.map(({key}) => key)))
  return {
    kept: groups.filter(isKept),
    made,
    unprotected: packs.filter(({key}) => !members.has(key)).length,
  }
}

/** Every object of a group, parity last. */
export function objectsOf({members, parity}: ParityGroup): readonly StoredObject[] {
  return [...members, ...parity]
}

function requireOwn({members, parity}: ParityGroup, sources: Sources): void {
  const alien =
    members.find((member) => !isOwn(member, 'member', sources)) ??
    parity.find((object) => !isOwn(object, 'parity', sources))
  if (alien) throw offProtocol(`a group with what it had no right to name: ${alien.key}`)
  const isNew = parity.some(({key}) => sources.allotted.has(key))
  if (isNew && parity.length !== sources.parity)
    throw offProtocol(`a group with ${parity.length} parity objects`)
}

function isOwn(
  object: StoredObject,
  role: 'member' | 'parity',
  {allotted, earlier}: Sources,
): boolean {
  const signed = allotted.get(object.key)
  const isOfKind = signed?.kind !== 'groups' && (signed?.kind === 'parity') === (role === 'parity')
  const known = signed ? isOfKind && signed : earlier.get(object.key)
  return known !== undefined && known !== false && isSame(known, object)
}

function isSame(one: Pick<StoredObject, 'length' | 'pin'>, other: StoredObject): boolean {
  return one.length === other.length && samePin(one.pin, other.pin)
}
