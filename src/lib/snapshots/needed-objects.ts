import type {Manifest} from '../format/manifest.js'
import type {Store} from '../store/store.js'
import {readGroups, readPacks} from './stored-index.js'

/** An object, and its bytes as its namer has them. */
export interface NeededObject {
  readonly key: string
  readonly length: number
}

/**
 * Every object that a snapshot stands on, each once: its index, the packs it names, and all members and parity objects of
 * its groups. INTEGRITY when one of the lists is damaged.
 */
export async function neededObjects(
  store: Store,
  manifest: Pick<Manifest, 'id' | 'index'>,
  signal?: AbortSignal,
): Promise<NeededObject[]> {
  const {groups: list, packs, segments} = manifest.index
  const [named, groups] = await Promise.all([
    readPacks(store, manifest, signal),
    readGroups(store, manifest, signal),
  ])
  const grouped = groups.flatMap(({members, parity}) => [...members, ...parity])
  const all = [...segments, packs, ...(list ? [list] : []), ...named, ...grouped]
  return [...new Map(all.map(({key, length}) => [key, {key, length}])).values()]
}
