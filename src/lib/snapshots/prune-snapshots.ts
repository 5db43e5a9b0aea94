import {DumontError, isDumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'
import {deleteSnapshots, type DeleteResult} from './delete-snapshot.js'
import {
  surveyManifests,
  type StoredManifest,
  type Survey,
  type UnreadableManifest,
} from './manifests.js'
import {mapBounded} from './map-bounded.js'
import {acceptShown} from './operator-memory.js'
import {memoryOf, requireShown} from './removal.js'
import {neededObjects} from './needed-objects.js'
import {planRetention, requireRule, type RetentionRules, type Verdict} from './retention.js'
import type {StoreService} from './service.js'

export interface PruneRequest {
  readonly rules: RetentionRules
  /** Of this label only; absent: all. */
  readonly label?: string
  /** The beginning of the id of the only lineage that is meant; absent: all. */
  readonly lineage?: string
  /** Snapshots that stay whatever the rules say: id → reason. */
  readonly held: ReadonlyMap<string, string>
  readonly dryRun: boolean
  /** What the store shows is the truth from now on, though this machine has seen more. */
  readonly acceptRollback?: boolean
  /** Asked once when something is to go; false leaves everything as it is (INTERRUPTED). */
  readonly confirm: (plan: PrunePlan) => Promise<boolean>
}

export interface PrunePlan {
  /** Lineage by lineage, newest first. */
  readonly verdicts: readonly Verdict[]
  /** Never touched. */
  readonly unreadable: readonly UnreadableManifest[]
  /** Bytes of packs and parity that only snapshots without a reason to stay need; undefined when that cannot be known. */
  readonly freed: number | undefined
}

export interface PruneResult extends PrunePlan {
  /** Absent when nothing was deleted. */
  readonly removed?: DeleteResult
}

/**
 * Deletes what the rules do not keep, as `deleteSnapshots` does, so writers and other prunes may run at the same time.
 * Rejects USAGE for rules that keep nothing by themselves, and INTEGRITY where the store hides a snapshot that was seen.
 */
export async function pruneSnapshots(
  {acceptRollback = false, confirm, dryRun, held, label, lineage, rules}: PruneRequest,
  service: StoreService,
  signal?: AbortSignal,
): Promise<PruneResult> {
  requireRule(rules)
  const memory = await memoryOf(service, signal)
  const survey = await surveyManifests(service.store, signal)
  if (memory && acceptRollback) await acceptShown(memory, survey)
  else await requireShown(memory, survey)
  const wanted = survey.readable.filter(
    ({manifest}) =>
      (label === undefined || manifest.label === label) &&
      manifest.lineage.startsWith(lineage ?? ''),
  )
  if (lineage !== undefined) requireOne(lineage, wanted)
  const verdicts = planRetention(wanted, rules, held)
  const doomed = new Set(
    verdicts.filter(({reasons}) => reasons.length === 0).map(({snapshot}) => snapshot.id),
  )
  const freed = await freedBy(doomed, survey, service, signal)
  const plan = {verdicts, unreadable: survey.unreadable, freed}
  if (dryRun || doomed.size === 0) return plan
  const removed = await deleteSnapshots(
    {confirm: () => confirm(plan), snapshots: [...doomed]},
    service,
    signal,
  )
  return {...plan, removed}
}

/** Rejects SNAPSHOT_UNKNOWN unless the beginning means exactly one lineage. */
function requireOne(lineage: string, found: readonly StoredManifest[]): void {
  const all = new Set(found.map(({manifest}) => manifest.lineage))
  if (all.size === 1) return
  const message =
    all.size === 0
      ? `no lineage begins with ${untrusted(lineage, 40)}`
      : `${untrusted(lineage, 40)} is the beginning of ${all.size} lineages`
  throw new DumontError('SNAPSHOT_UNKNOWN', message, {hint: 'see `dumont snapshot list --json`'})
}

async function freedBy(
  doomed: ReadonlySet<string>,
  {readable, unreadable}: Survey,
  {store}: StoreService,
  signal?: AbortSignal,
): Promise<number | undefined> {
  if (doomed.size === 0) return 0
  if (unreadable.length > 0) return undefined
  const released = new Map<string, number>()
  const needed = new Set<string>()
  try {
    await mapBounded(
      readable,
      8,
      async ({id, manifest}) => {
        const needs = await neededObjects(store, manifest, signal)
        for (const {key, length} of needs.filter((one) => !one.key.startsWith('index/')))
          if (doomed.has(id)) released.set(key, length)
          else needed.add(key)
      },
      signal,
    )
  } catch (error) {
    if (isDumontError(error) && error.code === 'INTEGRITY') return undefined
    throw error
  }
  return Array.from(released).reduce(
    (sum, [key, length]) => sum + (needed.has(key) ? 0 : length),
    0,
  )
}
