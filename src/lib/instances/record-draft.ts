import type {Draft} from './record-log.js'
import type {InstanceRecord, RecordedMachine} from './record.js'

/** What a new record takes over from the last one; a log begins with nothing but the machine. */
export function draftFrom(
  last: InstanceRecord | undefined,
  instance: RecordedMachine,
): Omit<Draft, 'state'> {
  return {
    instance,
    snapshot: last?.snapshot ?? null,
    from: last?.from ?? null,
    claims: last?.claims ?? [],
    successors: last?.successors ?? [],
    endedAt: last?.endedAt ?? null,
    discarded: last?.discarded ?? [],
    ...(last?.values && {values: last.values}),
  }
}

/** The last record with some of it changed. */
export function changed(last: InstanceRecord, changes: Partial<Draft>): Draft {
  return {...draftFrom(last, last.instance), state: last.state, ...changes}
}
