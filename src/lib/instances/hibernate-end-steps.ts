import {DumontError, isDumontError} from '../errors.js'
import type {Instance} from '../providers/provider.js'
import {readManifest} from '../snapshots/manifests.js'
import {throwIfInterrupted} from '../store/interruption.js'
import {untrusted} from '../untrusted.js'
import {confirmGone, endInstance, type End} from './end-instance.js'
import {known, recordState, type HibernateRun, type StepDeed} from './hibernate-run.js'
import {logPrefix, readBack} from './record-log.js'
import {asDumontError, isPassing, reasonOf} from './vendor-failure.js'

const STOP_READINGS = 30
const POLL_MS = 10_000
/** An announced end that nobody saw through is taken for ours this long. */
const ANNOUNCED_MS = 30 * 60_000

export const ask: StepDeed = async (run, signal) => {
  const {goal} = run.request
  if (goal === 'protect') return {agreed: false}
  const agreed = await run.request.confirm(
    {
      goal,
      instance: run.seen,
      snapshot: known(run.record?.snapshot ?? undefined, 'the record of a snapshot'),
      receipt: known(run.receipt, 'a receipt'),
    },
    signal,
  )
  if (!agreed) run.reasons.push(`the operator did not agree to ${goal} it`)
  return {agreed}
}

/** Writes down what is about to happen, and reads record and manifest back. */
export const announce: StepDeed = async (run, signal) => {
  const {name, service} = run
  const {store} = service
  const {saved} = known(run.taken, 'a snapshot')
  if (run.request.goal === 'destroy') {
    const endedAt = new Date(await store.now(signal)).toISOString()
    run.record = await recordState(run, 'destroying', {endedAt}, signal)
  }
  const record = known(run.record, 'a record')
  await readBack(store, name, record, signal)
  const {manifest} = await readManifest(store, saved.id, signal)
  if (manifest.index.merkle !== known(run.taken, 'a snapshot').merkle)
    throw new DumontError('INTEGRITY', `${saved.id} is not as it was proven`)
  return {announced: true}
}

/** Everything is read again right before the end; whatever changed brings the instance back to `protected`. */
export const recheck: StepDeed = async (run, signal) => {
  const receipt = known(run.receipt, 'a receipt')
  const refusals = await known(run.box, 'the box').recheck(receipt, signal)
  const seen = await run.service.provider.get(run.name.id, signal)
  const isSame = seen.phase === 'running' && seen.createdAt === run.seen.createdAt
  const [first] = refusals
  const reason = first
    ? untrusted(first.message, 300)
    : 'the instance is not the one that was proven'
  if (!first && isSame) return {rechecked: true}
  return giveUp(run, reason, signal)
}

/** From here on nothing can be undone. The journal says so first. */
export const end: StepDeed = async (run, signal) => {
  const {journal, name, request, seen, service} = run
  const {clock, provider} = service
  const {proof} = known(run.receipt, 'a receipt')
  const isDestroy = request.goal === 'destroy'
  const event = isDestroy ? 'destroying' : 'stopping'
  await journal.append(logPrefix(name), {event, ...name, label: seen.label ?? null})
  run.end = isDestroy
    ? await endInstance({id: name.id, createdAt: seen.createdAt}, proof, {clock, provider}, signal)
    : await stop(run, signal)
  if (run.end.kind === 'alive') return giveUp(run, reasonOf(run.end.error), signal)
  return {asked: true}
}

export const conclude: StepDeed = async (run, signal) => {
  const isGone = run.end?.kind === 'gone'
  if (run.end?.kind === 'unclear' && run.end.error !== undefined)
    run.reasons.push(reasonOf(run.end.error))
  if (run.record?.state === 'protected') {
    // The vendor may yet stop it; until it is seen to be, it counts as running.
    if (isGone) run.record = await recordState(run, 'stopped', {}, signal)
    return {concluded: true}
  }
  run.record = await recordState(run, isGone ? 'hibernated' : 'destroy-unconfirmed', {}, signal)
  if (isGone)
    await run.journal.append(logPrefix(run.name), {event: 'gone', ...run.name, label: null})
  return {concluded: true}
}

/** An end that an earlier run announced: looked at again, by the same account that saw the instance alive. */
export const settle: StepDeed = async (run, signal) => {
  const {name, record, service} = run
  const createdAt = record?.instance.createdAt ?? undefined
  const isGone = await confirmGone({id: name.id, createdAt}, service, signal)
  run.end = isGone ? {kind: 'gone'} : {kind: 'unclear'}
  const since = (await service.store.now(signal)) - Date.parse(record?.endedAt ?? '')
  if (record?.state === 'destroying' && !(since < ANNOUNCED_MS))
    run.reasons.push(
      `whether dumont ended it is not known; what changed after ${record.snapshot?.provenAt ?? 'its snapshot'} is lost`,
    )
  return {asked: true}
}

/** Safe but not ended: the record says so again and the run is over. */
async function giveUp(run: HibernateRun, reason: string, signal?: AbortSignal) {
  run.reasons.push(reason)
  run.record = await recordState(run, 'protected', {endedAt: null}, signal)
  return {agreed: false}
}

/** `gone` stands for stopped. */
async function stop(run: HibernateRun, signal?: AbortSignal): Promise<End> {
  const {clock, provider} = run.service
  const proof = provider.capabilities.stopWipes ? known(run.receipt, 'a receipt').proof : undefined
  try {
    await provider.stop?.(run.name.id, proof, signal)
  } catch (error) {
    throwIfInterrupted(signal)
    if (!isPassing(error)) return {kind: 'alive', error}
  }
  for (let reading = 0; reading < STOP_READINGS; reading += 1) {
    const seen = await look(run, signal)
    if (seen?.phase === 'stopped' || seen?.phase === 'interrupted') return {kind: 'gone'}
    await clock.sleep(POLL_MS, signal)
  }
  return {kind: 'unclear', error: new Error('the vendor does not show it as stopped')}
}

async function look(
  {name, service}: HibernateRun,
  signal?: AbortSignal,
): Promise<Instance | undefined> {
  try {
    return await service.provider.get(name.id, signal)
  } catch (error) {
    throwIfInterrupted(signal)
    if (!isPassing(error) && isDumontError(asDumontError(error))) throw error
    return undefined
  }
}
