import {isProviderError, type ProviderFailure} from '../providers/provider-error.js'
import type {Instance} from '../providers/provider.js'
import {throwIfInterrupted} from '../store/interruption.js'
import {untrusted} from '../untrusted.js'
import {withoutClaim} from './claim.js'
import {endInstance} from './end-instance.js'
import {appendRecord} from './record-log.js'
import {stillbornProof} from './stillborn.js'
import {isPassing, reasonOf} from './vendor-failure.js'
import {freshFacts, type WakeFacts} from './wake-facts.js'
import {leak, note, writeClaim, type MachineRun, type WakeDeed} from './wake-run.js'

/** A contract may be shown a good while after it was made: about two minutes of listings. */
const LISTINGS_MS = [0, 5000, 10_000, 15_000, 30_000, 30_000, 30_000]
/** Refusals of one offer that say nothing about the next. */
const NEXT: ReadonlySet<ProviderFailure> = new Set(['BID_TOO_LOW', 'CAPACITY', 'OFFER_GONE'])

export const choose: WakeDeed = async (machine) => {
  const taken = machine.all.pool.take()
  if (!taken) return {offer: 'exhausted'}
  machine.taken = taken
  const {report} = machine.all.service
  report({kind: 'step', step: 'rent', state: 'started', detail: taken.because})
  return {offer: 'chosen'}
}

/** A label nobody has used, in the store and on this disk before the vendor hears it. */
export const claim: WakeDeed = async (machine, signal) => {
  const {random} = machine.all.service
  machine.label = `dumont-${workspaceOf(machine)}-${Buffer.from(random(8)).toString('hex')}`
  await writeClaim(machine, {}, signal)
  return {claimed: true}
}

/** Sent once. What is not heard is looked for and never sent again. */
export const create: WakeDeed = async (machine, signal) => {
  const {provider} = machine.all.service
  const {env, publicKeys} = machine.all.request
  const {label, taken} = machine
  if (!provider.create || !taken || label === undefined)
    throw new Error('an offer, a label and a vendor who rents are needed')
  throwIfInterrupted(signal)
  await note(machine, 'creating')
  machine.createdAt = machine.all.service.clock.now()
  const {spec} = machine.all
  const market = spec.market.kind === 'spot' ? spec.market : {kind: 'on-demand' as const}
  try {
    const made = await provider.create(
      taken.offer,
      {spec: {...spec, market}, label, publicKeys, env},
      signal,
    )
    return await isMade(machine, made.id, signal)
  } catch (error) {
    throwIfInterrupted(signal)
    if (!isProviderError(error)) throw error
    if (error.createdId !== undefined)
      return {...(await isMade(machine, error.createdId, signal)), failed: reasonOf(error)}
    machine.failures.push(reasonOf(error))
    if (error.failure === 'AMBIGUOUS' || isPassing(error)) return {contract: 'unheard'}
    if (!NEXT.has(error.failure)) machine.fatal = error
    return {contract: 'refused'}
  }
}

/** Looks for what nobody heard of by its label, for about two minutes. */
export const settle: WakeDeed = async (machine, signal) => {
  const {clock, provider} = machine.all.service
  if (!provider.capabilities.labels) return unfindable(machine)
  for (const wait of LISTINGS_MS) {
    await clock.sleep(wait, signal)
    const [found] = await listed(machine, signal)
    if (found) return isMade(machine, found.id, signal)
  }
  machine.all.unsettled.push({label: machine.label ?? '', at: machine.createdAt ?? 0})
  return {contract: 'unsettled'}
}

/** Nothing tells it from the operator's own: the operator has to look. */
function unfindable(machine: MachineRun): Partial<WakeFacts> {
  const {provider} = machine.all.service
  const at = new Date(machine.createdAt ?? 0).toISOString().slice(0, 16)
  const offer = machine.taken?.offer.id ?? 'that was asked for'
  leak(
    machine,
    `whether it was rented is not known, and ${provider.name} has no labels: look in its list for a machine of offer ${untrusted(offer, 60)} made at ${at} UTC`,
  )
  return {leaked: true}
}

/** Nothing came of this offer; a claim that may yet show something stays open. */
export const forget: WakeDeed = async (machine, signal) => {
  const {pool} = machine.all
  const isUnsettled = machine.all.unsettled.some(({label}) => label === machine.label)
  if (!isUnsettled) await dropClaim(machine, signal)
  if (machine.taken) pool.settle(machine.taken, 0)
  return next(machine, 0)
}

/** Gives a machine back that never held anything, and makes sure of it. What is not sure is named, and nothing more is rented. */
export const discard =
  (rounds: number, why: string): WakeDeed =>
  async (machine, signal) => {
    const {account, journal, pool, service} = machine.all
    const {clock, provider} = service
    const {id, label, taken} = machine
    if (id === undefined || label === undefined) throw new Error('a contract is needed')
    machine.failures.push(`${id}: ${untrusted(why, 300)}`)
    service.report({kind: 'warning', code: 'machine', message: `${id}: ${untrusted(why, 300)}`})
    pool.exclude(taken?.offer.machine ?? machine.seen?.machine)
    try {
      const instance = await provider.get(id, signal)
      if (instance.phase !== 'gone') machine.seen = instance
      const entries = await journal.read(label)
      const proof = stillbornProof(
        {entries, instance: machine.seen ?? instance, provider: provider.name, account},
        clock.now(),
      )
      await note(machine, 'destroying')
      const contract = {id, createdAt: machine.seen?.createdAt}
      const end = await endInstance(contract, proof, {clock, provider}, signal)
      if (end.kind !== 'gone') {
        leak(machine, `it could not be given back: ${reasonOf(end.error)}`)
        return {leaked: true}
      }
    } catch (error) {
      throwIfInterrupted(signal)
      leak(machine, `it could not be given back: ${reasonOf(error)}`)
      return {leaked: true}
    }
    await note(machine, 'gone')
    await dropClaim(machine, signal)
    if (taken) pool.settle(taken, costOf(machine))
    return next(machine, rounds + 1)
  }

/** The contract exists: this disk and the store know its id before anything else happens. */
export async function isMade(
  machine: MachineRun,
  id: string,
  signal?: AbortSignal,
): Promise<Partial<WakeFacts>> {
  machine.id = id
  await note(machine, 'created')
  await writeClaim(machine, {}, signal)
  const {report} = machine.all.service
  report({kind: 'step', step: 'rent', state: 'done', detail: untrusted(id, 80)})
  return {contract: 'made'}
}

export async function dropClaim({all, label}: MachineRun, signal?: AbortSignal): Promise<void> {
  if (label === undefined) return
  const {name, service} = all
  await appendRecord(
    service.store,
    name,
    {owner: service.owner.id, decide: (last) => withoutClaim(last, label)},
    signal,
  )
}

/** None when the vendor could not be heard: then the next listing counts. */
async function listed(machine: MachineRun, signal?: AbortSignal): Promise<readonly Instance[]> {
  const {provider} = machine.all.service
  const {label} = machine
  if (label === undefined) return []
  try {
    const found = await provider.list({label}, signal)
    return found.filter((one) => one.label === label && one.phase !== 'gone')
  } catch (error) {
    throwIfInterrupted(signal)
    if (!isPassing(error)) throw error
    return []
  }
}

function next(machine: MachineRun, rounds: number): Partial<WakeFacts> {
  const hopeless = machine.fatal !== undefined
  delete machine.taken
  delete machine.label
  delete machine.id
  delete machine.seen
  delete machine.host
  delete machine.endpoint
  const {rounds: _, ...fresh} = freshFacts(0)
  return {...fresh, hopeless, ...(rounds > 0 ? {rounds} : {})}
}

function costOf({all, createdAt, seen, taken}: MachineRun): number {
  const hours = Math.max(0, all.service.clock.now() - (createdAt ?? 0)) / 3_600_000
  const hourly = seen?.hourly ?? taken?.offer.hourly ?? 0
  const traffic = (all.snapshot.storedBytes / 1e9) * (taken?.offer.downCostPerGB ?? 0)
  return hours * hourly + (seen?.phase === 'running' ? traffic : 0)
}

/** Part of the label: what of the lineage's name any vendor takes. */
function workspaceOf({all}: MachineRun): string {
  const plain = all.snapshot.label.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
  return plain.slice(0, 24).replaceAll(/^-+|-+$/g, '') || 'workspace'
}
