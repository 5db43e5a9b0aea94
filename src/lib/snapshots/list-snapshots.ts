import type {Store} from '../store/store.js'
import {byAge, lineagesOf} from './lineages.js'
import {surveyManifests, type StoredManifest, type UnreadableManifest} from './manifests.js'

export interface SnapshotList {
  /** Lineage by lineage, the one with the newest snapshot last; oldest first in each. */
  readonly snapshots: readonly StoredManifest[]
  /** Damaged ones, and those of a later format. */
  readonly unreadable: readonly UnreadableManifest[]
}

/** All snapshots of a store; an empty or unused store has none. */
export async function listSnapshots(
  {store}: {readonly store: Store},
  {label}: {readonly label?: string} = {},
  signal?: AbortSignal,
): Promise<SnapshotList> {
  const {readable, unreadable} = await surveyManifests(store, signal)
  const lineages = lineagesOf(readable).toReversed()
  const snapshots = lineages.flatMap((lineage) => lineage.snapshots.toSorted(byAge))
  const isWanted = ({manifest}: StoredManifest) => label === undefined || manifest.label === label
  return {snapshots: snapshots.filter(isWanted), unreadable}
}
