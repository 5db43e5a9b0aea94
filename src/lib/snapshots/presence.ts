import type {StoredObject} from '../format/group-list.js'
import {isExactly} from '../store/pin.js'
import type {Store} from '../store/store.js'
import {mapBounded} from './map-bounded.js'

const AT_ONCE = 32

/** The keys below these folders with their lengths, as the store lists them. */
export async function listLengths(
  store: Store,
  keys: readonly string[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const folders = [...new Set(keys.map((key) => key.slice(0, key.lastIndexOf('/') + 1)))]
  const lengths = new Map<string, number>()
  await mapBounded(
    folders,
    8,
    async (folder) => {
      for await (const {key, length} of store.list(folder, signal)) lengths.set(key, length)
    },
    signal,
  )
  return lengths
}

/** Packs, or other objects of their folders, that the store does not list with their length. */
export async function unlistedPacks(
  store: Store,
  packs: readonly Pick<StoredObject, 'key' | 'length'>[],
  signal?: AbortSignal,
): Promise<string[]> {
  const lengths = await listLengths(
    store,
    packs.map(({key}) => key),
    signal,
  )
  return packs.filter(({key, length}) => lengths.get(key) !== length).map(({key}) => key)
}

/** Objects for which the store does not vouch with length and checksum; `onChecked` after each. */
export async function unprovenObjects(
  store: Store,
  objects: readonly StoredObject[],
  onChecked?: (object: StoredObject) => void,
  signal?: AbortSignal,
): Promise<string[]> {
  const proven = await mapBounded(
    objects,
    AT_ONCE,
    async (object) => {
      const isProven = isExactly(await store.head(object.key, signal), object.length, object.pin)
      onChecked?.(object)
      return isProven
    },
    signal,
  )
  return objects.filter((_object, index) => !proven[index]).map(({key}) => key)
}
