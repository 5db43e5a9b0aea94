import {DumontError} from '../errors.js'
import {lineagesOf} from './lineages.js'
import type {StoredManifest} from './manifests.js'
import {tagsOf} from './tags.js'

/** How many to keep of what; a period counts only when it has a snapshot, and keeps its newest. Times are UTC. */
export interface RetentionRules {
  readonly last?: number
  readonly hourly?: number
  readonly daily?: number
  readonly weekly?: number
  readonly monthly?: number
  readonly yearly?: number
  /** Milliseconds before the newest snapshot of the lineage. */
  readonly within?: number
  /** All that have one of these. */
  readonly tags?: readonly string[]
}

/** What becomes of one snapshot; without a reason to stay it goes. */
export interface Verdict {
  readonly snapshot: StoredManifest
  readonly reasons: readonly string[]
}

/** Of its predecessor's files or bytes: fewer, and something may have been lost by accident. */
const SHRUNK = 0.5
const DAY_MS = 86_400_000

type Period = 'daily' | 'hourly' | 'monthly' | 'weekly' | 'yearly'

/** The period a time lies in, so that times of one period have the same name. */
const PERIODS: Readonly<Record<Period, (time: Date) => string>> = {
  hourly: (time) => time.toISOString().slice(0, 13),
  daily: (time) => time.toISOString().slice(0, 10),
  weekly: (time) => String(Math.floor((time.getTime() / DAY_MS + 3) / 7)),
  monthly: (time) => time.toISOString().slice(0, 7),
  yearly: (time) => time.toISOString().slice(0, 4),
}

/** Rejects USAGE for rules that keep nothing by themselves: nobody means that. */
export function requireRule(rules: RetentionRules): void {
  const {tags = [], ...counts} = rules
  const isGiven = Object.values(counts).some((value) => value !== undefined && value > 0)
  if (!isGiven && tags.length === 0)
    throw new DumontError('USAGE', 'nothing says what to keep', {
      hint: 'give a rule such as --keep-last 5 or --keep-within 14d',
    })
}

/**
 * Decides for every snapshot whether it stays, lineage by lineage, newest first. No rule removes the newest of a lineage, the
 * newest that has not shrunk against those before it, or one that is `held` (id → reason). Pure.
 */
export function planRetention(
  snapshots: readonly StoredManifest[],
  rules: RetentionRules,
  held: ReadonlyMap<string, string> = new Map(),
): Verdict[] {
  return lineagesOf(snapshots).flatMap((lineage) => {
    const newestFirst = lineage.snapshots.toReversed()
    const reasons = new Map(newestFirst.map(({id}) => [id, [] as string[]]))
    const keep = (snapshot: StoredManifest | undefined, reason: string) =>
      snapshot && reasons.get(snapshot.id)?.push(reason)
    keep(lineage.head, 'newest')
    const whole = lastWhole(lineage.snapshots)
    if (whole !== lineage.head) keep(whole, 'last before it shrank')
    for (const snapshot of newestFirst) {
      const reason = held.get(snapshot.id)
      if (reason !== undefined) keep(snapshot, reason)
    }
    for (const snapshot of newestFirst.slice(0, rules.last ?? 0)) keep(snapshot, 'last')
    for (const period of Object.keys(PERIODS) as Period[])
      for (const snapshot of newestOf(newestFirst, PERIODS[period], rules[period] ?? 0))
        keep(snapshot, period)
    for (const snapshot of newestFirst)
      for (const tag of tagsOf(snapshot.manifest, rules.tags ?? [])) keep(snapshot, `tag ${tag}`)
    const {within} = rules
    if (within !== undefined) {
      const since = timeOf(lineage.head) - within
      for (const snapshot of newestFirst) if (timeOf(snapshot) >= since) keep(snapshot, 'within')
    }
    return newestFirst.map((snapshot) => ({snapshot, reasons: reasons.get(snapshot.id) ?? []}))
  })
}

/** The newest of each of the last `count` periods that have any. */
function newestOf(
  newestFirst: readonly StoredManifest[],
  periodOf: (time: Date) => string,
  count: number,
): StoredManifest[] {
  const found = new Map<string, StoredManifest>()
  for (const snapshot of newestFirst) {
    const period = periodOf(new Date(timeOf(snapshot)))
    if (!found.has(period) && found.size < count) found.set(period, snapshot)
  }
  return [...found.values()]
}

/**
 * The newest snapshot that holds at least half of what the one before it held. What comes after a loss is measured against
 * the last good one too, so that a loss stays one however many snapshots follow.
 */
function lastWhole(oldestFirst: readonly StoredManifest[]): StoredManifest | undefined {
  let whole: StoredManifest | undefined
  for (const snapshot of oldestFirst) {
    const {bytes, counts} = snapshot.manifest
    const isShrunk =
      whole !== undefined &&
      (counts.files < whole.manifest.counts.files * SHRUNK ||
        bytes.raw < whole.manifest.bytes.raw * SHRUNK)
    if (!isShrunk) whole = snapshot
  }
  return whole
}

function timeOf({manifest}: StoredManifest): number {
  return Date.parse(manifest.created)
}
