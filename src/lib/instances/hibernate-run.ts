import {DumontError} from '../errors.js'
import type {Step} from '../progress/events.js'
import type {Instance} from '../providers/provider.js'
import {untrusted} from '../untrusted.js'
import type {End} from './end-instance.js'
import type {HibernateFacts, HibernateStep} from './hibernate-facts.js'
import type {HibernateParts, HibernateRequest, OpenBox, Taken} from './hibernate-request.js'
import type {InstanceService} from './instance-service.js'
import type {Journal} from './journal.js'
import type {Receipt} from './receipt-terms.js'
import {draftFrom} from './record-draft.js'
import {machineOf} from './record-of.js'
import {appendRecord, type Draft, type InstanceName} from './record-log.js'
import type {InstanceRecord, RecordState} from './record.js'

/** What one run knows and holds; the steps fill it in. */
export interface HibernateRun {
  readonly request: HibernateRequest
  readonly service: InstanceService
  readonly parts: HibernateParts
  readonly journal: Journal
  readonly name: InstanceName
  readonly begun: number
  readonly reasons: string[]
  seen: Instance
  record: InstanceRecord | undefined
  box?: OpenBox
  thaw?: (signal?: AbortSignal) => Promise<void>
  hooked?: boolean
  taken?: Taken
  /** Bytes sent in this run. */
  uploaded: number
  receipt?: Receipt
  end?: End
}

/** Does one step; what it found out is added to the facts. */
export type StepDeed = (run: HibernateRun, signal?: AbortSignal) => Promise<Partial<HibernateFacts>>

/** How a step is told; some are not worth a line. */
export const TOLD: Readonly<Partial<Record<HibernateStep, Step>>> = {
  conclude: 'confirm-gone',
  end: 'destroy',
  freeze: 'freeze',
  identify: 'identify',
  'pre-hook': 'pre-hook',
  prove: 'prove',
  record: 'record',
  rescan: 'rescan',
  settle: 'confirm-gone',
  still: 'still',
}

/** Adds a record in this state about the instance as it was last seen. */
export async function recordState(
  {name, record, seen, service}: Pick<HibernateRun, 'name' | 'record' | 'seen' | 'service'>,
  state: RecordState,
  changes: Partial<Draft> = {},
  signal?: AbortSignal,
): Promise<InstanceRecord> {
  const {owner, store} = service
  // One that is gone tells nothing of itself any more: what was known stays.
  const machine = seen.phase === 'gone' && record ? record.instance : machineOf(name, seen)
  const decide = (last: InstanceRecord | undefined): Draft => {
    refuseOther(last, record, state)
    return {...draftFrom(last, machine), state, ...changes}
  }
  const written = await appendRecord(store, name, {decide, owner: owner.id}, signal)
  if (!written) throw new DumontError('INTEGRITY', 'a record was not written')
  return written
}

/** Another dumont that works on the same instance has decided since: whoever comes second stops. */
function refuseOther(
  last: InstanceRecord | undefined,
  ours: InstanceRecord | undefined,
  state: RecordState,
): void {
  if (last?.sequence === ours?.sequence) return
  throw new DumontError(
    'INSTANCE_BUSY',
    `another dumont wrote ${untrusted(last?.state ?? 'nothing')} about this instance before ${state}`,
    {hint: 'wait until it is done, then run the command again', retry: 'later'},
  )
}

/** What a step before has left; its absence is a fault of the order. */
export function known<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`${what} is needed before this step`)
  return value
}
