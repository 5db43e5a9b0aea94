import {byAge, lineagesOf} from './lineages.js'
import {openManifestCache} from './manifest-cache.js'
import {
  surveyManifests,
  surveyUnknown,
  type StoredManifest,
  type Survey,
  type UnreadableManifest,
} from './manifests.js'
import {missingHeads} from './operator-memory.js'
import {memoryOf} from './removal.js'
import type {StoreService} from './service.js'
import {tagsOf} from './tags.js'

type ListService = Pick<StoreService, 'cacheDir' | 'store'> &
  Partial<Pick<StoreService, 'stateDir'>>

export interface SnapshotList {
  /** Lineage by lineage, the one with the newest snapshot last; oldest first in each. */
  readonly snapshots: readonly StoredManifest[]
  /** Damaged ones, those of a later format, and those that were seen before and are not shown any more. */
  readonly unreadable: readonly UnreadableManifest[]
}

/** All snapshots of a store; an empty or unused store has none. */
export async function listSnapshots(
  service: ListService,
  {label, tags = []}: {readonly label?: string; readonly tags?: readonly string[]} = {},
  signal?: AbortSignal,
): Promise<SnapshotList> {
  const {stateDir, store} = service
  const memory = stateDir === undefined ? undefined : await memoryOf({stateDir, store}, signal)
  const found = await survey(service, signal)
  const {readable} = found
  const unreadable = [...found.unreadable, ...(memory ? await missingHeads(memory, found) : [])]
  const lineages = lineagesOf(readable).toReversed()
  const snapshots = lineages.flatMap((lineage) => lineage.snapshots.toSorted(byAge))
  const isWanted = ({manifest}: StoredManifest) =>
    (label === undefined || manifest.label === label) &&
    tagsOf(manifest, tags).length === tags.length
  return {snapshots: snapshots.filter(isWanted), unreadable}
}

async function survey({cacheDir, store}: ListService, signal?: AbortSignal): Promise<Survey> {
  if (cacheDir === undefined) return surveyManifests(store, signal)
  const cache = await openManifestCache(cacheDir, store)
  const found = await surveyUnknown(store, cache, signal)
  // A cache that cannot be written costs the next list its time, not this one its answer.
  await cache.save().catch(() => {})
  return found
}
