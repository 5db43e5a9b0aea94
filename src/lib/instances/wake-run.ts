import type {Spec, Instance, Endpoint} from '../providers/provider.js'
import type {RankedOffer} from '../providers/rank-offers.js'
import type {RestoreSummary} from '../snapshots/restore-snapshot.js'
import {CLAIM_MS, heldClaims, withClaim} from './claim.js'
import type {InstanceService} from './instance-service.js'
import type {Journal, JournalEntry} from './journal.js'
import {namedMachine} from './record-of.js'
import {appendRecord, type InstanceName} from './record-log.js'
import type {Claim, RecordedSnapshot} from './record.js'
import {DumontError} from '../errors.js'
import type {WakeFacts} from './wake-facts.js'
import type {OfferPool} from './wake-pool.js'
import type {Leak, WakeParts, WakeRequest, Woken} from './wake-request.js'

/** What all machines of one wake share. */
export interface WakeRun {
  readonly request: WakeRequest
  readonly service: InstanceService
  readonly parts: WakeParts
  readonly journal: Journal
  readonly account: string
  /** Whose log the claims are in. */
  readonly name: InstanceName
  readonly snapshot: RecordedSnapshot
  readonly spec: Spec
  readonly maxHourly: number
  readonly pool: OfferPool
  /** Children of a parent that stays as it is begin lineages of their own. */
  readonly isFork: boolean
  readonly leaks: Leak[]
  /** Labels of which nobody knows whether they came to be. */
  readonly unsettled: {readonly label: string; readonly at: number}[]
}

/** One of the machines. */
export interface MachineRun {
  readonly all: WakeRun
  readonly seconds: Record<string, number>
  taken?: RankedOffer
  label?: string
  id?: string
  createdAt?: number
  seen?: Instance
  host?: string
  endpoint?: Endpoint
  restored?: RestoreSummary
  hookFailure?: string
  woken?: Woken
  /** What ends the wake instead of a next round. */
  fatal?: unknown
  /** Why each machine of this place came to nothing. */
  readonly failures: string[]
}

export type WakeDeed = (machine: MachineRun, signal?: AbortSignal) => Promise<Partial<WakeFacts>>

/** Writes or renews the claim of this machine; INSTANCE_BUSY while another dumont holds one of the same instance. */
export async function writeClaim(
  {all, id, label, taken}: MachineRun,
  {forMs = CLAIM_MS}: {readonly forMs?: number} = {},
  signal?: AbortSignal,
): Promise<void> {
  const {account, isFork, name, service, snapshot} = all
  const {owner, provider, store} = service
  const now = await store.now(signal)
  const claim: Claim = {
    label: label ?? '',
    owner: owner.id,
    since: new Date(now).toISOString(),
    deadline: new Date(now + forMs).toISOString(),
    provider: provider.name,
    account,
    id: id ?? null,
    hourly: taken?.offer.hourly ?? null,
    snapshot: snapshot.id,
    fork: isFork,
  }
  await appendRecord(
    store,
    name,
    {
      owner: owner.id,
      decide: (last) => {
        refuseHeld(heldClaims(last, owner, now))
        return withClaim(last, claim, namedMachine(name))
      },
    },
    signal,
  )
}

/** Every copy that somebody else is making is one too many. */
export function refuseHeld([other]: readonly Claim[]): void {
  if (!other) return
  const which = other.id === null ? other.label : `${other.id} (${other.label})`
  throw new DumontError(
    'INSTANCE_BUSY',
    `another dumont is waking it as ${which}, until ${other.deadline} at most`,
    {hint: 'wait until it is done; after that time this command goes on with it', retry: 'later'},
  )
}

/** Says what is about to be done, or was done, on this machine's disk. */
export async function note(
  {all, id, label}: MachineRun,
  event: JournalEntry['event'],
): Promise<void> {
  if (label === undefined) return
  const {account, journal, service} = all
  const provider = service.provider.name
  await journal.append(label, {event, provider, account, label, id: id ?? null})
}

/** Adds something billed to what has to be named. */
export function leak({all, id, label, seen, taken}: MachineRun, why: string): void {
  const hourly = seen?.hourly ?? taken?.offer.hourly
  all.leaks.push({
    provider: all.service.provider.name,
    account: all.account,
    label: label ?? '',
    id,
    hourly,
    why,
  })
}

/** Notes how long a step took, in seconds since `begun`. */
export function timed(machine: MachineRun, step: string, begun: number): void {
  machine.seconds[step] = (machine.all.service.clock.now() - begun) / 1000
}
