import {createHash} from 'node:crypto'
import {DumontError, isDumontError} from '../errors.js'
import {mapBounded} from '../snapshots/map-bounded.js'
import {createSettled} from '../store/settle.js'
import type {Store} from '../store/store.js'
import {encodeRecord, parseRecord, RECORD_LIMIT, type InstanceRecord} from './record.js'

/** Which log: an instance of an account at a vendor. */
export interface InstanceName {
  readonly provider: string
  readonly account: string
  readonly id: string
}

/** What the next record says; number, time and writer are added. */
export type Draft = Omit<InstanceRecord, 'at' | 'format' | 'owner' | 'sequence'>

/** Decides on what is known now; undefined when nothing is to be written. Called again after a lost race. */
export type Decide = (last: InstanceRecord | undefined) => Draft | undefined

/** A log whose last record cannot be used. */
export interface UnreadableLog {
  readonly key: string
  readonly error: DumontError
}

/** Machines that are woken together write to one log. */
const RACES = 100
const KEY = /^(?<folder>instances\/[^/]+\/)(?<sequence>\d{8})$/

/** Where the records of an instance lie; names of a vendor that are no names of objects are hashed. */
export function logPrefix({account, id, provider}: InstanceName): string {
  return `instances/${[provider, account, id].map(segment).join('-')}/`
}

/** The newest record; undefined when there is none. */
export async function readRecord(
  store: Store,
  of: InstanceName,
  signal?: AbortSignal,
): Promise<InstanceRecord | undefined> {
  let newest: string | undefined
  for await (const {key} of store.list(logPrefix(of), signal)) if (KEY.test(key)) newest = key
  return newest === undefined ? undefined : readAt(store, newest, of, signal)
}

/**
 * Adds a record and answers it, or the last one when `decide` has nothing to say. Who loses a race reads what the winner
 * wrote and decides again.
 */
export async function appendRecord(
  store: Store,
  of: InstanceName,
  {decide, owner}: {readonly decide: Decide; readonly owner: string},
  signal?: AbortSignal,
): Promise<InstanceRecord | undefined> {
  for (let race = 0; race < RACES; race += 1) {
    const last = await readRecord(store, of, signal)
    const draft = decide(last)
    if (!draft) return last
    if (isOther(draft.instance, of)) throw new RangeError('a record belongs into its own log')
    const sequence = (last?.sequence ?? -1) + 1
    const at = new Date(await store.now(signal)).toISOString()
    const next: InstanceRecord = {...draft, format: 1, sequence, at, owner}
    if (next.values && store.keys?.protection !== 'sealed')
      throw new RangeError('values of an environment belong into sealed stores only')
    const outcome = await createSettled(store, keyAt(of, sequence), encodeRecord(next), signal)
    if (outcome !== 'different') return next
  }
  throw new DumontError('INSTANCE_BUSY', `others keep writing about ${of.id}`, {
    hint: 'run the command again later',
    retry: 'later',
  })
}

/** Reads a record back and compares every byte: before something irreversible leans on it. */
export async function readBack(
  store: Store,
  of: InstanceName,
  record: InstanceRecord,
  signal?: AbortSignal,
): Promise<void> {
  const key = keyAt(of, record.sequence)
  const stored = await store.get(key, {limit: RECORD_LIMIT}, signal)
  const newest = await readRecord(store, of, signal)
  if (Buffer.compare(stored, encodeRecord(record)) === 0 && newest?.sequence === record.sequence)
    return
  throw new DumontError('INTEGRITY', `the store does not show ${key} as it was just written`, {
    hint: 'nothing was destroyed; run the command again',
  })
}

/** The newest record of every log; one that is damaged does not hide the others. */
export async function readAllRecords(
  store: Store,
  signal?: AbortSignal,
): Promise<{
  readonly records: readonly InstanceRecord[]
  readonly unreadable: readonly UnreadableLog[]
}> {
  const newest = new Map<string, string>()
  for await (const {key} of store.list('instances/', signal)) {
    const folder = KEY.exec(key)?.groups?.['folder']
    if (folder !== undefined) newest.set(folder, key)
  }
  const read = await mapBounded([...newest.values()], 16, (key) => readOne(store, key, signal))
  return {
    records: read.flatMap((one) => ('error' in one ? [] : [one])),
    unreadable: read.flatMap((one) => ('error' in one ? [one] : [])),
  }
}

async function readOne(
  store: Store,
  key: string,
  signal?: AbortSignal,
): Promise<InstanceRecord | UnreadableLog> {
  try {
    return await readAt(store, key, undefined, signal)
  } catch (error) {
    if (!isDumontError(error) || !['FORMAT_NEWER', 'INTEGRITY'].includes(error.code)) throw error
    return {key, error}
  }
}

/** A record must lie where it says it belongs: else one instance could pass for another. */
async function readAt(
  store: Store,
  key: string,
  of: InstanceName | undefined,
  signal?: AbortSignal,
): Promise<InstanceRecord> {
  const record = parseRecord(await store.get(key, {limit: RECORD_LIMIT}, signal), key)
  const {instance, sequence} = record
  if ((of && isOther(instance, of)) || keyAt(instance, sequence) !== key)
    throw new DumontError('INTEGRITY', `${key} speaks of another instance or place`, {
      hint: 'snapshots are not touched by this; restore one by its id',
    })
  return record
}

function isOther(one: InstanceName, other: InstanceName): boolean {
  return one.id !== other.id || one.account !== other.account || one.provider !== other.provider
}

function keyAt(of: InstanceName, sequence: number): string {
  return `${logPrefix(of)}${String(sequence).padStart(8, '0')}`
}

function segment(text: string): string {
  if (/^[A-Za-z0-9_]{1,64}$/.test(text)) return text
  return `x${createHash('sha256').update(text).digest('hex').slice(0, 24)}`
}
