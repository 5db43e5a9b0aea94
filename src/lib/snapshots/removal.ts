import {DumontError} from '../errors.js'
import type {ObjectInfo, Store} from '../store/store.js'
import {openRepository} from '../store/repository.js'
import {surveyManifests, type StoredManifest, type Survey} from './manifests.js'
import {mapBounded} from './map-bounded.js'
import {GRACE_MS, isRemovable, readMarks} from './marks.js'
import {neededObjects} from './needed-objects.js'
import {missingHeads, openOperatorMemory, type OperatorMemory} from './operator-memory.js'
import type {StoreService} from './service.js'

/** An object nobody names may belong to a create that still runs; after a day it does not. */
export const ORPHAN_MS = 24 * 3_600_000

/** The keys a snapshot stands on. INTEGRITY when one of its lists is damaged. */
export async function keysOf(
  store: Store,
  {manifest}: StoredManifest,
  signal?: AbortSignal,
): Promise<string[]> {
  return (await neededObjects(store, manifest, signal)).map(({key}) => key)
}

/** Every key that some snapshot needs. Rejects (INTEGRITY, FORMAT_NEWER) when that cannot be known for all of them. */
export async function neededKeys(
  store: Store,
  survey: Survey,
  signal?: AbortSignal,
): Promise<Set<string>> {
  const [unreadable] = survey.unreadable
  if (unreadable)
    throw new DumontError(unreadable.error.code, `no space is freed: ${unreadable.error.message}`, {
      cause: unreadable.error,
      hint: `what ${unreadable.id} needs is unknown; delete it, or put its manifest back`,
    })
  const needed = new Set<string>()
  await mapBounded(
    survey.readable,
    8,
    async (stored) => {
      for (const key of await keysOf(store, stored, signal)) needed.add(key)
    },
    signal,
  )
  return needed
}

/** What may be marked: released by a deletion, or named by nobody and a day old. Pure. */
export function planMark(given: {
  readonly objects: readonly ObjectInfo[]
  readonly needed: ReadonlySet<string>
  readonly released: ReadonlySet<string>
  readonly marked: ReadonlySet<string>
  readonly now: number
}): ObjectInfo[] {
  const {marked, needed, now, objects, released} = given
  return objects.filter(
    ({key, modified}) =>
      isRemovable(key) &&
      !needed.has(key) &&
      !marked.has(key) &&
      (released.has(key) || now - modified > ORPHAN_MS),
  )
}

export interface Swept {
  readonly objects: number
  readonly marks: number
}

/** A store that hides snapshots would have their packs removed as nobody's; INTEGRITY when one that was seen is not shown. */
export async function requireShown(
  memory: OperatorMemory | undefined,
  survey: Survey,
): Promise<void> {
  const [hidden] = memory ? await missingHeads(memory, survey) : []
  if (!hidden) return
  throw new DumontError('INTEGRITY', `no space is freed: ${hidden.error.message}`, {
    cause: hidden.error,
    hint: 'if somebody deleted it on purpose, say so with `dumont snapshot prune … --accept-rollback`; else find out why',
  })
}

/**
 * Removes what was marked at least an hour ago and is still needed by nobody, then those marks. Rejects INTEGRITY
 * when the store hides a snapshot that `memory` knows.
 */
export async function sweepDueMarks(
  store: Store,
  memory?: OperatorMemory,
  signal?: AbortSignal,
): Promise<Swept> {
  const {marks} = await readMarks(store, signal)
  if (marks.length === 0) return {objects: 0, marks: 0}
  const now = await store.now(signal)
  const due = marks.filter(({since}) => now - since >= GRACE_MS)
  if (due.length === 0) return {objects: 0, marks: 0}
  const survey = await surveyManifests(store, signal)
  const needed = await neededKeys(store, survey, signal)
  const unneeded = [...new Set(due.flatMap(({keys}) => keys))].filter((key) => !needed.has(key))
  await requireShown(memory, survey)
  await store.remove(unneeded, signal)
  await store.remove(
    due.map(({key}) => key),
    signal,
  )
  return {objects: unneeded.length, marks: due.length}
}

/** What this machine remembers of a store now, for a survey that comes after; undefined for one that was never used. */
export async function memoryOf(
  {stateDir, store}: Pick<StoreService, 'stateDir' | 'store'>,
  signal?: AbortSignal,
): Promise<OperatorMemory | undefined> {
  const repository = await openRepository(store, {create: false}, signal)
  if (!repository) return undefined
  const memory = openOperatorMemory(stateDir, repository.id)
  // What is committed and noted after this is no loss when the survey lacks it.
  const seen = await memory.all()
  return {...memory, all: async () => seen}
}

/** Frees what is due; a failure is told and left for the next command. */
export async function sweepQuietly(
  {report, stateDir, store}: Pick<StoreService, 'report' | 'stateDir' | 'store'>,
  signal?: AbortSignal,
): Promise<void> {
  try {
    const memory = await memoryOf({stateDir, store}, signal)
    const {objects} = await sweepDueMarks(store, memory, signal)
    if (objects > 0)
      report({kind: 'note', message: `${objects} objects that no snapshot needs were removed`})
  } catch (error) {
    report({
      kind: 'warning',
      code: 'sweep',
      message: `space could not be freed: ${error instanceof Error ? error.message : String(error)}`,
    })
  }
}
