import type {Phase, Provider, Instance} from '../providers/provider.js'
import {R2_PRICES} from '../providers/savings.js'
import {snapshotTime} from '../format/snapshot-id.js'
import {mapBounded} from '../snapshots/map-bounded.js'
import type {StoreService} from '../snapshots/service.js'
import {throwIfInterrupted} from '../store/interruption.js'
import {untrusted} from '../untrusted.js'
import {logPrefix, readAllRecords} from './record-log.js'
import type {InstanceRecord, RecordState} from './record.js'
import {reasonOf} from './vendor-failure.js'

/** One instance, running or not. Texts are safe to show; money is US$. */
export interface ListedInstance {
  readonly provider: string
  readonly account: string
  readonly id: string
  readonly label: string | undefined
  readonly state: Phase | RecordState
  readonly gpu: string | undefined
  readonly gpuCount: number
  /** Since it was made, or since its end was announced; undefined when not told. */
  readonly ageMs: number | undefined
  /** While it exists at the vendor. */
  readonly hourly: number | undefined
  /** Of the snapshot that stands for it, where it does not. */
  readonly monthly: number | undefined
  readonly snapshot: {readonly id: string; readonly takenAt: number | undefined} | undefined
  /** What would be lost if it vanished now, in words; undefined when nothing would. */
  readonly unprotected: string | undefined
  /** Machines that are being woken from it. */
  readonly waking: readonly string[]
}

export interface InstanceList {
  readonly instances: readonly ListedInstance[]
  /** Vendors and records that could not be read, one line each. */
  readonly failures: readonly string[]
}

interface Seen {
  readonly account: string
  readonly provider: string
  readonly instance: Instance
}

/** All instances of these accounts and all that are hibernated in this store: the billed ones first, dearest on top. */
export async function listInstances(
  providers: readonly Provider[],
  {clock, store}: Pick<StoreService, 'clock' | 'store'>,
  signal?: AbortSignal,
): Promise<InstanceList> {
  const failures: string[] = []
  const {records, unreadable} = await readAllRecords(store, signal)
  failures.push(...unreadable.map(({error}) => error.message))
  const seen = (
    await mapBounded(providers, 4, async (provider): Promise<readonly Seen[]> => {
      try {
        const {account} = await provider.whoami(signal)
        const all = await provider.list(undefined, signal)
        return all.map((instance) => ({account, provider: provider.name, instance}))
      } catch (error) {
        throwIfInterrupted(signal)
        failures.push(reasonOf(error))
        return []
      }
    })
  ).flat()
  const known = new Map(records.map((record) => [logPrefix(record.instance), record]))
  const present = seen.filter(({instance}) => instance.phase !== 'gone')
  const shown = new Set(present.map((one) => logPrefix({...one, id: one.instance.id})))
  const now = clock.now()
  const running = present.map((one) =>
    describeSeen(one, known.get(logPrefix({...one, id: one.instance.id})), now),
  )
  const asleep = records
    .filter((record) => !shown.has(logPrefix(record.instance)) && isListed(record))
    .map((record) => describeRecord(record, now))
  return {
    instances: [
      ...running.toSorted((one, other) => (other.hourly ?? 0) - (one.hourly ?? 0)),
      ...asleep.toSorted((one, other) => (one.ageMs ?? 0) - (other.ageMs ?? 0)),
    ],
    failures,
  }
}

/** What was woken lives on as another instance; what only runs elsewhere is not known to be gone. */
function isListed({claims, state}: InstanceRecord): boolean {
  return (state !== 'woken' && state !== 'running') || claims.length > 0
}

function describeSeen(
  {account, instance, provider}: Seen,
  record: InstanceRecord | undefined,
  now: number,
): ListedInstance {
  const {createdAt, hourly, id, label, phase, spec} = instance
  const snapshot = snapshotOf(record)
  return {
    provider,
    account: untrusted(account, 80),
    id: untrusted(id, 80),
    label: label === undefined ? undefined : untrusted(label, 120),
    state: phase,
    gpu: spec.gpuName === '' ? undefined : untrusted(spec.gpuName, 60),
    gpuCount: spec.gpuCount,
    ageMs: createdAt === undefined ? undefined : Math.max(0, now - createdAt),
    hourly,
    monthly: undefined,
    snapshot,
    unprotected: unprotectedOf(record, snapshot?.takenAt, now),
    waking: wakingOf(record),
  }
}

function describeRecord(record: InstanceRecord, now: number): ListedInstance {
  const {endedAt, instance, snapshot, state} = record
  const {account, id, provider, spec} = instance
  const bytes = snapshot?.storedBytes ?? 0
  const isSafe = state === 'hibernated' || state === 'claimed'
  const saved = snapshotOf(record)
  return {
    provider: untrusted(provider, 40),
    account: untrusted(account, 80),
    id: untrusted(id, 80),
    label: snapshot ? untrusted(snapshot.label, 120) : undefined,
    state,
    gpu: spec ? untrusted(spec.gpuName, 60) : undefined,
    gpuCount: spec?.gpuCount ?? 0,
    ageMs: endedAt === null ? undefined : Math.max(0, now - Date.parse(endedAt)),
    hourly: state === 'destroy-unconfirmed' ? (instance.hourly ?? undefined) : undefined,
    monthly: (bytes / 1e9) * R2_PRICES.perGBMonth,
    snapshot: saved,
    unprotected: isSafe ? undefined : 'its end is not certain',
    waking: wakingOf(record),
  }
}

function snapshotOf(record: InstanceRecord | undefined): ListedInstance['snapshot'] {
  const id = record?.snapshot?.id
  return id === undefined ? undefined : {id, takenAt: snapshotTime(id)?.getTime()}
}

function unprotectedOf(
  record: InstanceRecord | undefined,
  takenAt: number | undefined,
  now: number,
): string | undefined {
  if (record?.state === 'stopped') return undefined
  if (!record?.snapshot || takenAt === undefined) return 'everything'
  const hours = Math.max(0, (now - takenAt) / 3_600_000)
  const since = hours < 48 ? `${hours.toFixed(1)} h` : `${(hours / 24).toFixed(0)} days`
  return `the last ${since}`
}

function wakingOf(record: InstanceRecord | undefined): readonly string[] {
  return (record?.claims ?? []).map(({id, label}) => untrusted(id ?? label, 120))
}
