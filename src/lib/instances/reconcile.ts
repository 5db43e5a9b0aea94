import {throwIfInterrupted} from '../store/interruption.js'
import {openRepository} from '../store/repository.js'
import {isHeld, withoutClaim} from './claim.js'
import {confirmGone} from './end-instance.js'
import type {InstanceService} from './instance-service.js'
import {changed} from './record-draft.js'
import {appendRecord, readAllRecords} from './record-log.js'
import type {Claim, InstanceRecord} from './record.js'
import {isPassing, reasonOf} from './vendor-failure.js'
import type {Leak} from './wake-request.js'

/** An announced end that nobody saw through is taken for ours this long. */
const ANNOUNCED_MS = 30 * 60_000

export interface Reconciled {
  /** Ends that are certain now. */
  readonly confirmed: readonly string[]
  /** Ends that were asked for and are not certain: they may still be billed. */
  readonly unconfirmed: readonly string[]
  /** Machines that an interrupted wake rented and nobody holds. */
  readonly leaks: readonly Leak[]
}

interface Findings {
  readonly confirmed: string[]
  readonly unconfirmed: string[]
  readonly leaks: Leak[]
}

/**
 * Looks again at everything that earlier runs left open in this account, wherever they ran. It ends nothing: what may be billed
 * is named, what is certain is written down. Every command for instances does it first, except for what it is about itself.
 */
export async function reconcile(
  service: InstanceService,
  {except, waking}: {readonly except?: string; readonly waking?: string} = {},
  signal?: AbortSignal,
): Promise<Reconciled> {
  const {provider, report, store} = service
  const findings: Findings = {confirmed: [], unconfirmed: [], leaks: []}
  if (!(await openRepository(store, {create: false}, signal))) return findings
  const {records, unreadable} = await readAllRecords(store, signal)
  for (const {error} of unreadable)
    report({kind: 'warning', code: 'record', message: error.message})
  const open = records.filter(isOpen)
  if (open.length === 0) return findings
  report({kind: 'step', step: 'reconcile', state: 'started'})
  const {account} = await provider.whoami(signal)
  for (const record of open) {
    const {claims, instance} = record
    if (instance.id === except) continue
    const isOurs = (of: {readonly provider: string; readonly account: string}) =>
      of.provider === provider.name && of.account === account
    try {
      if (isOurs(instance)) await settleEnd(record, {findings, service}, signal)
      // Its own machines are what a wake goes on with.
      for (const claim of instance.id === waking ? [] : claims.filter(isOurs))
        await settleClaim({claim, record}, {findings, service}, signal)
    } catch (error) {
      throwIfInterrupted(signal)
      if (!isPassing(error)) throw error
      report({kind: 'warning', code: 'reconcile', message: reasonOf(error)})
    }
  }
  tell(findings, service)
  report({kind: 'step', step: 'reconcile', state: 'done'})
  return findings
}

function isOpen({claims, state}: InstanceRecord): boolean {
  return claims.length > 0 || state === 'destroying' || state === 'destroy-unconfirmed'
}

async function settleEnd(
  record: InstanceRecord,
  {findings, service}: {readonly findings: Findings; readonly service: InstanceService},
  signal?: AbortSignal,
): Promise<void> {
  const {clock, owner, provider, store} = service
  const {instance, state} = record
  if (state !== 'destroying' && state !== 'destroy-unconfirmed') return
  if (owner.isAtWork(record.owner) && record.owner !== owner.id && isRecent(record, clock.now()))
    return
  const createdAt = instance.createdAt ?? undefined
  const seen = await provider.get(instance.id, signal)
  const isSame = seen.phase !== 'gone' && seen.createdAt === instance.createdAt
  // Announced long ago and never asked for: `hibernate` tells what may be lost.
  const isOurs = state === 'destroy-unconfirmed' || isRecent(record, await store.now(signal))
  const isGone =
    !isSame &&
    isOurs &&
    (await confirmGone({id: instance.id, createdAt}, {clock, provider}, signal))
  if (!isGone) {
    findings.unconfirmed.push(instance.id)
    return
  }
  await appendRecord(
    store,
    instance,
    {
      owner: owner.id,
      decide: (last) =>
        last?.sequence === record.sequence ? changed(last, {state: 'hibernated'}) : undefined,
    },
    signal,
  )
  findings.confirmed.push(instance.id)
}

function isRecent({at}: InstanceRecord, now: number): boolean {
  return Math.abs(now - Date.parse(at)) < ANNOUNCED_MS
}

async function settleClaim(
  {claim, record}: {readonly claim: Claim; readonly record: InstanceRecord},
  {findings, service}: {readonly findings: Findings; readonly service: InstanceService},
  signal?: AbortSignal,
): Promise<void> {
  const {owner, provider, store} = service
  const now = await store.now(signal)
  if (isHeld(claim, owner, now)) return
  const listed = await provider.list({label: claim.label}, signal)
  const found = listed.find(
    (one) => (one.label === claim.label || one.id === claim.id) && one.phase !== 'gone',
  )
  if (found) {
    const {account, label, provider: vendor} = claim
    const hourly = found.hourly ?? claim.hourly ?? undefined
    const why = `an interrupted wake of ${record.instance.id} left it: run that wake again, or end it`
    findings.leaks.push({provider: vendor, account, label, id: found.id, hourly, why})
    return
  }
  // Only time makes sure that it will not show up any more.
  if (now < Date.parse(claim.deadline)) return
  await appendRecord(
    store,
    record.instance,
    {owner: owner.id, decide: (last) => withoutClaim(last, claim.label)},
    signal,
  )
}

function tell({leaks, unconfirmed}: Findings, {report}: InstanceService): void {
  for (const {hourly, id, why} of leaks)
    report({
      kind: 'warning',
      code: 'left-behind',
      message: `${id ?? 'a machine'}${hourly === undefined ? '' : ` is billed $${hourly.toFixed(3)}/h`}: ${why}`,
    })
  for (const id of unconfirmed)
    report({
      kind: 'warning',
      code: 'destroy-unconfirmed',
      message: `${id} was to be destroyed and may still be billed: run hibernate on it again`,
    })
}
