import {isDumontError} from '../errors.js'
import type {PackRecord} from '../format/pack-list.js'
import type {Store} from '../store/store.js'
import type {ParentRequest} from '../worker/requests.js'
import type {StoredManifest} from './manifests.js'
import {listLengths, unlistedPacks} from './presence.js'
import {isForeign} from './nvidia-need.js'
import {readPacks} from './stored-index.js'

/** What a create may lean on. */
export interface UsableParent {
  /** Null when nothing of a parent can be used. */
  readonly request: ParentRequest | null
  /** Its packs that may be named again, by key. */
  readonly packs: ReadonlyMap<string, PackRecord>
  readonly note?: string
}

const NONE: UsableParent = {request: null, packs: new Map()}
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
    const missing = new Set(await unlistedPacks(store, list, signal))
    const unusable = new Set(
      list.map(({key}) => key).filter((key) => missing.has(key) || gone.has(key)),
    )
    const isReused = reuse && unusable.size <= MOST_UNUSABLE
    const usable = isReused ? list.filter(({key}) => !unusable.has(key)) : []
    return {
      request: {
        id,
        roots: manifest.roots.map(({path}) => path),
        segments,
        packs,
        reuse: isReused,
        unusable: isReused ? [...unusable] : [],
        ...(isForeign(manifest.nvidia) && {ans: false}),
      },
      packs: new Map(usable.map((pack) => [pack.key, pack])),
    }
  } catch (error) {
    if (isDumontError(error) && error.code === 'INTEGRITY') return without(id, error.message)
    throw error
  }
}

function without(id: string, why: string): UsableParent {
  return {...NONE, note: `everything is stored again because ${id} cannot be leant on: ${why}`}
}
