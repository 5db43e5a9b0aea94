import {DumontError} from '../errors.js'
import type {Store} from '../store/store.js'
import {readAllRecords} from './record-log.js'
import type {RecordState} from './record.js'

/** The instance is gone, or may be: the snapshot is all that is left of it. */
const HOLDING: ReadonlySet<RecordState> = new Set([
  'destroy-unconfirmed',
  'destroying',
  'hibernated',
])

/** Rejects INCOMPLETE when one of the snapshots is all that is left of an instance, or when that cannot be told. */
export async function refuseHeld(
  store: Store,
  snapshots: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  const {records, unreadable} = await readAllRecords(store, signal)
  const held = records.find(
    ({snapshot, state}) => HOLDING.has(state) && snapshots.includes(snapshot?.id ?? ''),
  )
  if (held?.snapshot)
    throw new DumontError(
      'INCOMPLETE',
      `${held.snapshot.id} is all that is left of ${held.instance.provider}:${held.instance.id}, which is ${held.state}; nothing was deleted`,
      {hint: 'wake it first, or add --release-hold to give it up'},
    )
  const [damaged] = unreadable
  if (damaged)
    throw new DumontError(
      'INCOMPLETE',
      `whether a hibernated instance needs it is not known: ${damaged.error.message}; nothing was deleted`,
      {cause: damaged.error, hint: 'add --release-hold to delete it all the same'},
    )
}

/**
 * The snapshots that are all that is left of an instance, each with the reason to keep it. Rejects INCOMPLETE when that
 * cannot be told.
 */
export async function heldSnapshots(
  store: Store,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const {records, unreadable} = await readAllRecords(store, signal)
  const [damaged] = unreadable
  if (damaged)
    throw new DumontError(
      'INCOMPLETE',
      `what hibernated instances need is not known: ${damaged.error.message}`,
      {cause: damaged.error},
    )
  return new Map(
    records.flatMap(({instance, snapshot, state}): [string, string][] =>
      snapshot && HOLDING.has(state)
        ? [[snapshot.id, `${state}: ${instance.provider}:${instance.id}`]]
        : [],
    ),
  )
}
