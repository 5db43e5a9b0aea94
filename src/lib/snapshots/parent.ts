import {isDumontError} from '../errors.js'
import type {ParityGroup} from '../format/group-list.js'
import type {Manifest} from '../format/manifest.js'
import type {PackRecord} from '../format/pack-list.js'
import type {Store} from '../store/store.js'
import type {ParentRequest} from '../worker/requests.js'
import type {StoredManifest} from './manifests.js'
import {listLengths, unlistedPacks} from './presence.js'
import {isForeign} from './nvidia-need.js'
import {objectsOf} from './group-claim.js'
import {readGroups, readPacks} from './stored-index.js'

/** What a create may lean on. */
export interface UsableParent {
  /** Null when nothing of a parent can be used. */
  readonly request: ParentRequest | null
  /** Its packs that may be named again, by key. */
  readonly packs: ReadonlyMap<string, PackRecord>
  /** Its groups that may be kept. */
  readonly groups: readonly ParityGroup[]
  readonly note?: string
}

const NONE: UsableParent = {request: null, packs: new Map(), groups: []}
/** More than these would not fit into one message; then everything is stored again. */
const MOST_UNUSABLE = 5000

/** Looks what of the parent is there; a damaged or partly removed parent costs time, never the snapshot. */
export async function prepareParent(
  store: Store,
  {parent, reuse}: {readonly parent?: StoredManifest; readonly reuse: boolean},
  gone: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<UsableParent> {
  if (!parent) return NONE
  const {id, manifest} = parent
  const {packs, segments} = manifest.index
  try {
    const reading = readPacks(store, manifest, signal)
    // Told only when the index is whole: otherwise that is the reason.
    reading.catch(() => {})
    const lengths = await listLengths(store, [packs.key], signal)
    if ([packs, ...segments].some(({key, length}) => lengths.get(key) !== length))
      return without(id, 'part of its index is missing')
    const list = await reading
    const {groups, note} = await groupsOf(store, manifest, signal)
    const named = [...list, ...groups.flatMap(objectsOf)]
    const missing = new Set(await unlistedPacks(store, named, signal))
    const unusable = new Set(
      named.map(({key}) => key).filter((key) => missing.has(key) || gone.has(key)),
    )
    const isReused = reuse && unusable.size <= MOST_UNUSABLE
    const usable = isReused ? list.filter(({key}) => !unusable.has(key)) : []
    const kept = isReused ? groups.filter(isWithout(unusable)) : []
    return {
      request: {
        id,
        roots: manifest.roots.map(({path}) => path),
        segments,
        packs,
        reuse: isReused,
        unusable: isReused ? [...unusable] : [],
        ...(isForeign(manifest.nvidia) && {ans: false}),
        ...(kept.length > 0 && manifest.index.groups && {groups: manifest.index.groups}),
      },
      packs: new Map(usable.map((pack) => [pack.key, pack])),
      groups: kept,
      ...(note === undefined ? {} : {note}),
    }
  } catch (error) {
    if (isDumontError(error) && error.code === 'INTEGRITY') return without(id, error.message)
    throw error
  }
}

/** Groups of packs; those of its index are of no use to another snapshot. */
async function groupsOf(
  store: Store,
  manifest: Manifest,
  signal?: AbortSignal,
): Promise<{readonly groups: readonly ParityGroup[]; readonly note?: string}> {
  try {
    const groups = await readGroups(store, manifest, signal)
    return {groups: groups.filter(({members}) => members.some(({key}) => key.startsWith('packs/')))}
  } catch (error) {
    if (!isDumontError(error) || error.code !== 'INTEGRITY') throw error
    return {groups: [], note: `the parity of ${manifest.id} is not kept: ${error.message}`}
  }
}

function isWithout(unusable: ReadonlySet<string>): (group: ParityGroup) => boolean {
  return (group) => !objectsOf(group).some(({key}) => unusable.has(key))
}

function without(id: string, why: string): UsableParent {
  return {...NONE, note: `everything is stored again because ${id} cannot be leant on: ${why}`}
}
