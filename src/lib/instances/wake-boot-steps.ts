import {isProviderError} from '../providers/provider-error.js'
import {offerMismatch} from '../providers/offer-match.js'
import type {Instance} from '../providers/provider.js'
import {throwIfInterrupted} from '../store/interruption.js'
import {untrusted} from '../untrusted.js'
import {isPassing, reasonOf} from './vendor-failure.js'
import {BOOT_MS, bootVerdict} from './wake-boot.js'
import type {WakeFacts} from './wake-facts.js'
import {timed, type MachineRun, type WakeDeed} from './wake-run.js'

const POLL_MS = 10_000
/** Keys and sshd may take minutes after a machine runs. */
const REACH_MS = 5 * 60_000
const PROVISION_MS = 15 * 60_000
/** Prices and disks are told with a little rounding. */
const PRICE_SLACK = 1.001
const DISK_SLACK = 0.97

export const boot: WakeDeed = async (machine, signal) => {
  const {clock, report} = machine.all.service
  const begun = clock.now()
  let wasSeen = false
  let foundAt = begun
  let told = ''
  for (;;) {
    const instance = await look(machine, signal)
    const now = clock.now()
    const since = now - begun
    if (instance) {
      if (instance.phase !== 'unreachable') foundAt = now
      if (instance.phase !== 'gone') wasSeen = true
      const verdict = bootVerdict({instance, since, lostFor: now - foundAt, wasSeen})
      if (verdict.kind === 'failed') return {failed: await withLog(machine, verdict.why, signal)}
      if (instance.phase !== 'gone') machine.seen = instance
      if (verdict.kind === 'running') break
      if (instance.state !== told) {
        told = instance.state
        const detail = untrusted(told, 80)
        report({kind: 'step', step: 'boot', state: 'started', detail})
      }
    } else if (since > BOOT_MS) return {failed: 'the vendor cannot be heard about it'}
    await clock.sleep(POLL_MS, signal)
  }
  timed(machine, 'boot', begun)
  report({kind: 'step', step: 'boot', state: 'done', detail: untrusted(machine.id ?? '', 80)})
  await attachKeys(machine, signal)
  return {running: true}
}

/** Price, market and hardware as they are, not as they were offered. */
export const check: WakeDeed = async ({all, seen, taken}) => {
  if (!seen) throw new Error('a running machine is needed')
  const {maxHourly, spec} = all
  const {region: _, ...wanted} = spec
  const {hourly} = seen
  if (hourly === undefined) return {failed: 'it does not tell its price'}
  const like = {
    id: seen.id,
    machine: undefined,
    spec: seen.spec,
    hourly,
    storagePerGBMonth: 0,
    upCostPerGB: 0,
    downCostPerGB: 0,
    downMbps: undefined,
    upMbps: undefined,
    reliability: taken?.offer.reliability,
  }
  const mismatch = offerMismatch(
    like,
    {...wanted, diskGB: wanted.diskGB * DISK_SLACK},
    {maxHourly: maxHourly * PRICE_SLACK},
  )
  return mismatch === undefined ? {fits: true} : {failed: `the machine ${mismatch}`}
}

/** Tries every way in, in order, again and again: a key may take minutes to arrive. */
export const reach: WakeDeed = async (machine, signal) => {
  const {parts, service} = machine.all
  const {clock, report} = service
  report({kind: 'step', step: 'reach', state: 'started'})
  const begun = clock.now()
  let why = 'it has no way in'
  for (;;) {
    const instance = machine.seen
    for (const endpoint of instance?.endpoints ?? []) {
      if (!instance) break
      const answer = await parts.probe({instance, endpoint}, signal)
      if (answer.kind === 'open') {
        machine.host = answer.host
        machine.endpoint = endpoint
        timed(machine, 'reach', begun)
        report({kind: 'step', step: 'reach', state: 'done', detail: untrusted(answer.host, 120)})
        return {reached: true}
      }
      why = answer.why
    }
    if (clock.now() - begun > REACH_MS) return {failed: `it cannot be reached: ${why}`}
    await clock.sleep(POLL_MS, signal)
    const seen = await look(machine, signal)
    if (seen && seen.phase !== 'running' && seen.phase !== 'unreachable')
      return {failed: `it went to ${seen.phase} before it could be reached`}
    if (seen) machine.seen = seen
  }
}

/** Vendor images finish setting up after SSH is there; a restore must not race them. */
export const provision: WakeDeed = async (machine, signal) => {
  const {parts, service} = machine.all
  const {clock, report} = service
  const {host, seen} = machine
  if (host === undefined || !seen) throw new Error('a way in is needed')
  report({kind: 'step', step: 'provision', state: 'started'})
  const begun = clock.now()
  try {
    if (!(await isProvisioned(machine, signal)))
      return {failed: `it is still being set up after ${PROVISION_MS / 60_000} minutes`}
    const trouble = await parts.inspect({instance: seen, host}, signal)
    if (trouble !== undefined) return {failed: trouble}
  } catch (error) {
    throwIfInterrupted(signal)
    return {failed: reasonOf(error)}
  }
  timed(machine, 'provision', begun)
  report({kind: 'step', step: 'provision', state: 'done'})
  return {provisioned: true} satisfies Partial<WakeFacts>
}

async function isProvisioned({all, host}: MachineRun, signal?: AbortSignal): Promise<boolean> {
  const {clock, openSession} = all.service
  const until = clock.now() + PROVISION_MS
  const session = await openSession(host ?? '', signal)
  try {
    for (;;) {
      const options = signal ? {signal} : {}
      const {code} = await session.exec(['test', '-e', '/.provisioning'], options)
      if (code === 1) return true
      if (clock.now() > until) return false
      await clock.sleep(POLL_MS, signal)
    }
  } finally {
    await session.close()
  }
}

/** Undefined when the vendor could not be heard. */
async function look({all, id}: MachineRun, signal?: AbortSignal): Promise<Instance | undefined> {
  try {
    return await all.service.provider.get(id ?? '', signal)
  } catch (error) {
    throwIfInterrupted(signal)
    if (!isPassing(error)) throw error
    return undefined
  }
}

/** Vendors attach keys of the account at create only; a key that is there already is no matter. */
async function attachKeys({all, id}: MachineRun, signal?: AbortSignal): Promise<void> {
  const {provider, report} = all.service
  if (!provider.attachKey || id === undefined) return
  for (const key of all.request.publicKeys) {
    try {
      await provider.attachKey(id, key, signal)
    } catch (error) {
      throwIfInterrupted(signal)
      if (!isProviderError(error)) throw error
      report({kind: 'note', message: reasonOf(error)})
    }
  }
}

async function withLog({all, id}: MachineRun, why: string, signal?: AbortSignal): Promise<string> {
  const {provider} = all.service
  if (!provider.logs || id === undefined) return why
  try {
    const log = untrusted((await provider.logs(id, 5, signal)).trim().slice(-300), 300)
    return log === '' ? why : `${why}; its log ends: ${log}`
  } catch {
    throwIfInterrupted(signal)
    return why
  }
}
