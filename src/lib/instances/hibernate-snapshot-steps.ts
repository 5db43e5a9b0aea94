import {DumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'
import {runHook} from './box-hook.js'
import type {Taken} from './hibernate-request.js'
import {known, recordState, type HibernateRun, type StepDeed} from './hibernate-run.js'
import {keptValues} from './kept-values.js'
import type {Refusal} from './receipt-terms.js'

const PAUSE_MS = 5000
const SHOWN = 5
const THAW_MS = 60_000

export const identify: StepDeed = async (run, signal) => {
  const {name, parts, request, seen} = run
  run.box = await parts.open({instance: seen, account: name.account}, request, signal)
  return {identified: true}
}

export const preHook: StepDeed = async (run, signal) => {
  await hook(run, 'pre-hook', signal)
  return {hooked: true}
}

/** Stops what may be stopped; what is left keeps the box from being ended, but not from being saved. */
export const still: StepDeed = async (run, signal) => {
  const box = known(run.box, 'the box')
  const {request, service} = run
  if (request.busy === 'freeze') return {still: true}
  if (request.busy === 'stop') await box.stopBusy(signal)
  const busy = await box.busy(signal)
  if (busy.length === 0) return {still: true}
  const named = `${busy
    .slice(0, SHOWN)
    .map((one) => untrusted(one, 120))
    .join('; ')}${busy.length > SHOWN ? `; and ${busy.length - SHOWN} more` : ''}`
  if (request.goal !== 'protect')
    throw new DumontError('INCOMPLETE', `the box is at work: ${named}`, {
      hint: 'end these, or add --stop-processes or --freeze; nothing was stopped or destroyed',
    })
  service.report({kind: 'warning', code: 'busy', message: `the box is at work: ${named}`})
  return {still: true}
}

export const snapshot: StepDeed = async (run, signal) => {
  run.taken = await take(run, signal)
  return {taken: true}
}

export const freeze: StepDeed = async (run, signal) => {
  run.thaw = await known(run.box, 'the box').freeze(signal)
  return {frozen: true}
}

/** Increments until two in a row are equal: then nothing changed between the two scans. */
export const rescan: StepDeed = async (run, signal) => {
  const {clock} = run.service
  const until = clock.now() + run.request.maxWaitMs
  for (;;) {
    const before = known(run.taken, 'a snapshot')
    run.taken = await take(run, signal)
    if (run.taken.merkle === before.merkle) return {quiet: true}
    if (clock.now() >= until) break
    await clock.sleep(PAUSE_MS, signal)
  }
  throw new DumontError(
    'INCOMPLETE',
    `the workspace keeps changing; ${run.taken.saved.id} is the last snapshot of it`,
    {
      hint: 'end what writes there, or add --stop-processes, --freeze or a longer --max-wait; nothing was stopped or destroyed',
    },
  )
}

export const prove: StepDeed = async (run, signal) => {
  const {id} = known(run.taken, 'a snapshot').saved
  const outcome = await known(run.box, 'the box').prove(id, signal)
  if (outcome.kind === 'refused') throw refused(id, outcome.refusals)
  if (outcome.receipt.snapshotId !== id)
    throw new DumontError('INTEGRITY', 'the receipt speaks of another snapshot')
  run.receipt = outcome.receipt
  return {proven: true}
}

export const record: StepDeed = async (run, signal) => {
  const receipt = known(run.receipt, 'a receipt')
  const {saved} = known(run.taken, 'a snapshot')
  const provenAt = new Date(receipt.issuedAt).toISOString()
  const values = await keptValues(run, signal)
  run.record = await recordState(
    run,
    'protected',
    {
      snapshot: {...saved, provenAt},
      endedAt: null,
      discarded: receipt.discarded.map((path) => path.slice(0, 1024)).slice(0, 256),
      ...(values && {values}),
    },
    signal,
  )
  return {protected: true}
}

/** Lets a box that lives on go on: thaws it and runs the post-hook. What fails is a reason, never a new failure. */
export async function release(run: HibernateRun): Promise<void> {
  const steps = [
    ...(run.thaw ? [{what: 'the box could not be thawed', act: run.thaw}] : []),
    ...(run.box && (run.hooked || run.receipt) && run.request.postHook !== undefined
      ? [
          {
            what: 'the post-hook failed',
            act: (signal?: AbortSignal) => hook(run, 'post-hook', signal),
          },
        ]
      : []),
  ]
  for (const {act, what} of steps) {
    try {
      // Not under the caller's signal: an interruption is no reason to leave a box halted.
      await act(AbortSignal.timeout(THAW_MS))
    } catch (error) {
      const message = `${what}: ${error instanceof Error ? untrusted(error.message, 300) : 'unknown'}`
      run.reasons.push(message)
      run.service.report({kind: 'warning', code: 'release', message})
    }
  }
  delete run.thaw
  delete run.hooked
}

async function take(run: HibernateRun, signal?: AbortSignal): Promise<Taken> {
  const {name, parts, record: last, request} = run
  const label = request.snapshot.name ?? last?.snapshot?.label ?? `${name.provider}:${name.id}`
  const {host} = known(run.box, 'the box')
  const taken = await parts.take({...request.snapshot, host, name: label, dryRun: false}, signal)
  run.uploaded += taken.uploaded
  return taken
}

async function hook(
  run: HibernateRun,
  which: 'post-hook' | 'pre-hook',
  signal?: AbortSignal,
): Promise<void> {
  const {name, request, service, taken} = run
  const command = which === 'pre-hook' ? request.preHook : request.postHook
  if (command === undefined) return
  // From here on the box is not as it was, whether the hook succeeds or not.
  run.hooked = true
  const data = {event: which, instance: name, goal: request.goal, snapshot: taken?.saved.id ?? null}
  await runHook({name: which, command, host: known(run.box, 'the box').host, data}, service, signal)
}

function refused(id: string, refusals: readonly Refusal[]): DumontError {
  const told = refusals
    .slice(0, SHOWN)
    .map(({message, rule}) => `${rule}: ${untrusted(message, 300)}`)
    .join('; ')
  const [first] = refusals
  return new DumontError('INCOMPLETE', `${id} exists, but there is no receipt for it: ${told}`, {
    hint: `${first ? untrusted(first.remedy, 300) : 'run the command again'}; nothing was stopped or destroyed`,
  })
}
