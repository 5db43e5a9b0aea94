import type {Instance} from '../providers/provider.js'
import type {Savings} from '../providers/savings.js'
import type {CreateSnapshotRequest} from '../snapshots/create-request.js'
import type {VerifyLevel} from '../snapshots/verify-snapshot.js'
import type {Goal} from './hibernate-facts.js'
import type {Receipt, ReceiptOutcome, Refusal} from './receipt-terms.js'
import type {InstanceName} from './record-log.js'
import type {RecordedSnapshot} from './record.js'

/** What an operator asks for. */
export interface HibernateRequest {
  readonly id: string
  readonly goal: Goal
  /** Where to reach the box instead of the vendor's endpoints; it must be the same box all the same. */
  readonly host?: string
  /** How to take the snapshot; without a name the lineage of this instance goes on. */
  readonly snapshot: Omit<CreateSnapshotRequest, 'dryRun' | 'host'>
  /** Command lines for `sh -c` on the box. */
  readonly preHook?: string
  /** Runs when the box goes on living: after a snapshot without an end, and after every failure behind the pre-hook. */
  readonly postHook?: string
  /** What to do about processes that write or hold GPU memory. */
  readonly busy: 'freeze' | 'refuse' | 'stop'
  /** How long the workspace may go on changing. */
  readonly maxWaitMs: number
  readonly level: VerifyLevel
  /** Share of the snapshot read back, above 0 up to 1. */
  readonly sample: number
  /** Absolute paths on the box that may be lost. */
  readonly discard: readonly string[]
  /** Asked once, with everything proven, before the instance is stopped or destroyed. */
  readonly confirm: (question: EndQuestion, signal?: AbortSignal) => Promise<boolean>
}

export interface EndQuestion {
  readonly goal: 'destroy' | 'stop'
  readonly instance: Instance
  readonly snapshot: RecordedSnapshot
  readonly receipt: Receipt
}

/** A snapshot as hibernating needs it. */
export interface Taken {
  readonly saved: RecordedSnapshot
  /** Over all entries and contents: equal to the one before when nothing changed. */
  readonly merkle: string
  /** Bytes that were sent for it. */
  readonly uploaded: number
}

/** The box behind the instance, proven to be it. */
export interface OpenBox {
  /** What `openSession` takes. */
  readonly host: string
  /** Processes that hold GPU memory or write in the roots; safe to show. */
  busy(signal?: AbortSignal): Promise<readonly string[]>
  stopBusy(signal?: AbortSignal): Promise<void>
  /** Halts everything but what dumont needs; the answer undoes it. */
  freeze(signal?: AbortSignal): Promise<(signal?: AbortSignal) => Promise<void>>
  prove(snapshotId: string, signal?: AbortSignal): Promise<ReceiptOutcome>
  /** Reads every field of the receipt again; what does not hold any more, none when all does. */
  recheck(receipt: Receipt, signal?: AbortSignal): Promise<readonly Refusal[]>
  close(): Promise<void>
}

/** The parts hibernating is made of besides the vendor and the store. */
export interface HibernateParts {
  /** Reaches the box and proves that it is this instance; rejects when it is another. */
  open(
    question: {readonly instance: Instance; readonly account: string},
    request: HibernateRequest,
    signal?: AbortSignal,
  ): Promise<OpenBox>
  take(request: CreateSnapshotRequest, signal?: AbortSignal): Promise<Taken>
}

/** What became of the instance. Texts are safe to show. */
export interface HibernateOutcome {
  readonly state: 'destroy-unconfirmed' | 'hibernated' | 'protected' | 'stopped'
  readonly goal: Goal
  readonly instance: InstanceName
  readonly snapshot: RecordedSnapshot
  /** Absent when an earlier run had proven it. */
  readonly receipt?: Receipt
  /** US$ an hour that goes on; undefined when not known. */
  readonly stillHourly: number | undefined
  readonly hourly: number | undefined
  readonly storagePerGBMonth: number | undefined
  /** Disks that outlive the instance and go on costing. */
  readonly volumes: readonly string[]
  /** Why less was done than asked for. */
  readonly reasons: readonly string[]
  /** What a month of sleep costs and saves; undefined where the vendor does not tell its price. */
  readonly monthly: Savings | undefined
  readonly seconds: number
}
