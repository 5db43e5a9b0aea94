import {DumontError, isDumontError} from '../errors.js'
import {throwIfInterrupted} from '../store/interruption.js'
import type {ObjectInfo, Store} from '../store/store.js'
import {lineagesOf} from './lineages.js'
import {surveyManifests, type StoredManifest, type UnreadableManifest} from './manifests.js'
import {GRACE_MS, markedKeys, writeMarks} from './marks.js'
import {rememberedOf} from './operator-memory.js'
import {keysOf, memoryOf, neededKeys, planMark, requireShown, sweepQuietly} from './removal.js'
import {resolveAny} from './resolve-snapshot.js'
import type {StoreService} from './service.js'

export interface DeleteRequest {
  /** Beginnings of ids, `latest:<label>`. */
  readonly snapshots: readonly string[]
  /** Asked once with what would be deleted; false leaves everything as it is (INTERRUPTED). */
  readonly confirm: (doomed: readonly Doomed[]) => Promise<boolean>
}

/** A snapshot that is to be deleted; a damaged one can be deleted too. */
export type Doomed = StoredManifest | UnreadableManifest

export interface DeleteResult {
  readonly deleted: readonly string[]
  /** Bytes that nobody needs any more and that will be freed. */
  readonly bytes: number
  readonly objects: number
  /** Milliseconds by the store's clock; the next delete or create after it frees the space. Absent when nothing is. */
  readonly freeAfter?: number
}

/**
 * Deletes snapshots: manifests first, then a mark on what only they needed. The space is freed at least an hour later, so
 * that a create that runs meanwhile finds out. Rejects SNAPSHOT_UNKNOWN before anything is deleted.
 */
export async function deleteSnapshots(
  {confirm, snapshots}: DeleteRequest,
  service: StoreService,
  signal?: AbortSignal,
): Promise<DeleteResult> {
  const {report, store} = service
  const before = await surveyManifests(store, signal)
  const doomed = [
    ...new Map(
      snapshots.map((name) => resolveAny(before, name)).map((one) => [one.id, one]),
    ).values(),
  ]
  if (!(await confirm(doomed))) throw new DumontError('INTERRUPTED', 'nothing was deleted')
  report({kind: 'step', step: 'remove', state: 'started'})
  const released = await releasedKeys(store, doomed, service, signal)
  throwIfInterrupted(signal)
  const keys = doomed.map((one) => ('key' in one ? one.key : `snapshots/${one.id}.json`))
  try {
    await store.remove(keys, signal)
  } catch (error) {
    // Some may be gone all the same, where a lock keeps others.
    await forget(doomed, service, signal).catch(() => {})
    throw error
  }
  await forget(doomed, service, signal)
  const marked = await markUnneeded(released, service, signal)
  report({kind: 'step', step: 'remove', state: 'done'})
  await sweepQuietly(service, signal)
  return {deleted: doomed.map(({id}) => id), ...marked}
}

/** What the doomed stand on; of a damaged one it is unknown, and found a day later as what nobody names. */
async function releasedKeys(
  store: Store,
  doomed: readonly Doomed[],
  {report}: StoreService,
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  const released = new Set<string>()
  for (const one of doomed) {
    try {
      if ('manifest' in one) for (const key of await keysOf(store, one, signal)) released.add(key)
    } catch (error) {
      if (!isDumontError(error) || !['FORMAT_NEWER', 'INTEGRITY'].includes(error.code)) throw error
      report({
        kind: 'note',
        message: `some space of ${one.id} is freed by a delete after a day: ${error.message}`,
      })
    }
  }
  return released
}

/** A deletion of our own is no rollback. */
async function forget(
  doomed: readonly Doomed[],
  {stateDir, store}: StoreService,
  signal?: AbortSignal,
): Promise<void> {
  const memory = await memoryOf({stateDir, store}, signal)
  if (!memory) return
  const lineages = new Map(
    lineagesOf((await surveyManifests(store, signal)).readable).map((one) => [one.id, one.head]),
  )
  const ids = new Set(doomed.map(({id}) => id))
  for (const {lineage, snapshot} of await memory.all()) {
    if (!ids.has(snapshot)) continue
    const head = lineages.get(lineage)
    await memory.replace(lineage, head && rememberedOf(head))
  }
}

async function markUnneeded(
  released: ReadonlySet<string>,
  {random, report, stateDir, store}: StoreService,
  signal?: AbortSignal,
): Promise<Omit<DeleteResult, 'deleted'>> {
  try {
    const now = await store.now(signal)
    const marked = await markedKeys(store, signal)
    const memory = await memoryOf({stateDir, store}, signal)
    const survey = await surveyManifests(store, signal)
    const needed = await neededKeys(store, survey, signal)
    await requireShown(memory, survey)
    const objects = await allObjects(store, signal)
    const plan = planMark({objects, needed, released, marked, now})
    await writeMarks(
      store,
      plan.map(({key}) => key),
      {now, random},
      signal,
    )
    const bytes = plan.reduce((sum, {length}) => sum + length, 0)
    return {bytes, objects: plan.length, ...(plan.length > 0 ? {freeAfter: now + GRACE_MS} : {})}
  } catch (error) {
    // The snapshots are gone; only their space is not known to be free.
    if (!isDumontError(error) || !['FORMAT_NEWER', 'INTEGRITY'].includes(error.code)) throw error
    report({kind: 'warning', code: 'sweep', message: error.message})
    return {bytes: 0, objects: 0}
  }
}

async function allObjects(store: Store, signal?: AbortSignal): Promise<ObjectInfo[]> {
  const objects: ObjectInfo[] = []
  for (const prefix of ['index/', 'packs/', 'parity/'])
    for await (const object of store.list(prefix, signal)) objects.push(object)
  return objects
}
