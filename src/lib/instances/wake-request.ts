import type {Endpoint, Instance, Market} from '../providers/provider.js'
import type {RankedOffer} from '../providers/rank-offers.js'
import type {Savings} from '../providers/savings.js'
import type {RestoreOptions} from '../snapshots/restore-host.js'
import type {RestoreSummary} from '../snapshots/restore-snapshot.js'
import type {InstanceName} from './record-log.js'

/** What an operator asks for. */
export interface WakeRequest {
  /** Id of a hibernated instance of this account, or the beginning of a snapshot's id, or `latest:<label>`. */
  readonly what: string
  /** Another snapshot than the recorded one. */
  readonly snapshot?: string
  readonly fork: boolean
  /** Restore onto this machine instead of renting one. */
  readonly host?: string
  /** With `host`: write into roots that hold something already. */
  readonly overwrite: boolean
  readonly gpu?: string
  readonly region?: string
  readonly image?: string
  readonly market?: Market
  /** US$ an hour for one machine; default 1.25 times the old one. */
  readonly maxHourly?: number
  /** US$ for all rounds and machines until they are ready, traffic included. */
  readonly maxSpend?: number
  /** How long the machine will be used, for ranking; default 8. */
  readonly hours?: number
  readonly count: number
  readonly dryRun: boolean
  /** Values by name, before those of a sealed record. */
  readonly env: Readonly<Record<string, string>>
  readonly publicKeys: readonly string[]
  /** A command line for `sh -c` on the box. */
  readonly readyHook?: string
  readonly restore: Pick<RestoreOptions, 'memory' | 'parts'>
  /** Asked once before anything is rented. */
  readonly confirm: (plan: WakePlan, signal?: AbortSignal) => Promise<boolean>
}

export interface WakePlan {
  readonly snapshot: string
  readonly offers: readonly RankedOffer[]
  /** Rows the vendor gave that are not what was asked for. */
  readonly unfit: number
  readonly count: number
  readonly maxHourly: number
  readonly maxSpend: number | undefined
  /** US$ until the first `count` offers are ready, traffic included. */
  readonly estimate: number
}

/** The parts waking is made of besides the vendor and the store. */
export interface WakeParts {
  /** Tries one way in and pins the host key of this instance; `host` is what `openSession` takes. */
  probe(
    question: {readonly instance: Instance; readonly endpoint: Endpoint},
    signal?: AbortSignal,
  ): Promise<
    {readonly kind: 'closed'; readonly why: string} | {readonly kind: 'open'; readonly host: string}
  >
  /** Why the box is of no use although it runs, such as GPUs that do not work; undefined when it is. */
  inspect(
    question: {readonly instance: Instance; readonly host: string},
    signal?: AbortSignal,
  ): Promise<string | undefined>
  restore(
    question: {readonly snapshot: string; readonly host: string; readonly options: RestoreOptions},
    signal?: AbortSignal,
  ): Promise<RestoreSummary>
}

/** Something that may be billed and is not in anybody's hands. */
export interface Leak {
  readonly provider: string
  readonly account: string
  readonly label: string
  /** Undefined when only the label is known: it may or may not exist. */
  readonly id: string | undefined
  readonly hourly: number | undefined
  readonly why: string
}

/** One machine that is ready. */
export interface Woken {
  readonly instance: InstanceName
  readonly label: string | undefined
  readonly host: string
  readonly endpoint: Endpoint | undefined
  readonly hourly: number | undefined
  readonly market: Market | undefined
  readonly machine: string | undefined
  /** The name its snapshots go on under. */
  readonly name: string
  readonly restored: RestoreSummary | undefined
  /** Why the ready hook failed; the box stays all the same. */
  readonly hookFailure: string | undefined
  /** Why this machine, from the ranking. */
  readonly because: string | undefined
  readonly seconds: Readonly<Record<string, number>>
}

export interface WakeResult {
  readonly kind: 'planned' | 'restored' | 'started' | 'woken'
  readonly snapshot: string | undefined
  readonly plan?: WakePlan
  readonly machines: readonly Woken[]
  /** Why a machine that was asked for is not there, one line each. */
  readonly failures: readonly string[]
  readonly leaks: readonly Leak[]
  /** US$ for machines that were given back, about. */
  readonly wasted: number
  /** Since the old box ended; undefined where that or its price is not known. */
  readonly savings?: Savings
  readonly seconds: number
}
