import {DumontError, EXIT} from '../errors.js'
import {openRepository} from '../store/repository.js'
import * as ending from './hibernate-end-steps.js'
import {firstFacts, nextHibernateStep, type HibernateStep} from './hibernate-facts.js'
import {explainFailure, refusal} from './hibernate-refusal.js'
import type {HibernateOutcome, HibernateParts, HibernateRequest} from './hibernate-request.js'
import {TOLD, type HibernateRun, type StepDeed} from './hibernate-run.js'
import * as saving from './hibernate-snapshot-steps.js'
import type {InstanceService} from './instance-service.js'
import {openJournal} from './journal.js'
import {reconcile} from './reconcile.js'
import {savingsOfSleep} from './record-savings.js'
import {readRecord} from './record-log.js'
import {asDumontError} from './vendor-failure.js'

const DEEDS: Readonly<Record<Exclude<HibernateStep, 'done'>, StepDeed>> = {
  announce: ending.announce,
  ask: ending.ask,
  conclude: ending.conclude,
  end: ending.end,
  freeze: saving.freeze,
  identify: saving.identify,
  'pre-hook': saving.preHook,
  prove: saving.prove,
  recheck: ending.recheck,
  record: saving.record,
  refuse: async (run) => {
    throw refusal(run)
  },
  rescan: saving.rescan,
  settle: ending.settle,
  snapshot: saving.snapshot,
  still: saving.still,
}

/**
 * Saves an instance, proves it, and, if that is asked for, stops or destroys it with the proof. Run again after any interruption,
 * here or on another machine, it goes on. A box that lives on is thawed and gets its post-hook whatever happens.
 */
export async function hibernate(
  request: HibernateRequest,
  {parts, service}: {readonly parts: HibernateParts; readonly service: InstanceService},
  signal?: AbortSignal,
): Promise<HibernateOutcome> {
  checkGoal(request, service)
  try {
    const run = await begin(request, {parts, service}, signal)
    await walk(run, signal)
    return outcomeOf(run)
  } catch (error) {
    throw asDumontError(error)
  }
}

/** 0 when what was asked for is done; 3 when it is safe but lives on; 75 when its end has to be looked at again. */
export function exitCodeOfHibernate({goal, reasons, state}: HibernateOutcome): number {
  if (state === 'destroy-unconfirmed') return EXIT.tryAgain
  if (state === 'hibernated' && reasons.length === 0) return EXIT.ok
  const wanted = {destroy: 'hibernated', protect: 'protected', stop: 'stopped'}[goal]
  return state === wanted && reasons.length === 0 ? EXIT.ok : EXIT.incomplete
}

async function begin(
  request: HibernateRequest,
  {parts, service}: {readonly parts: HibernateParts; readonly service: InstanceService},
  signal?: AbortSignal,
): Promise<HibernateRun> {
  const {clock, provider, report, stateDir, store} = service
  report({kind: 'step', step: 'look', state: 'started'})
  const repository = await openRepository(store, {create: true}, signal)
  const {account} = await provider.whoami(signal)
  const name = {provider: provider.name, account, id: request.id}
  await reconcile(service, {except: request.id}, signal)
  const record = await readRecord(store, name, signal)
  const seen = await provider.get(request.id, signal)
  report({kind: 'step', step: 'look', state: 'done', detail: seen.phase})
  const journal = openJournal(stateDir, repository.id, clock)
  return {
    request,
    service,
    parts,
    journal,
    name,
    seen,
    record,
    begun: clock.now(),
    reasons: [],
    uploaded: 0,
  }
}

async function walk(run: HibernateRun, signal?: AbortSignal): Promise<void> {
  const {request, service} = run
  let facts = firstFacts({
    found: run.record?.state,
    freezes: request.busy === 'freeze',
    goal: request.goal,
    hasPreHook: request.preHook !== undefined,
    phase: run.seen.phase,
  })
  try {
    for (;;) {
      const step = nextHibernateStep(facts)
      if (step === 'done') break
      const told = step === 'end' && request.goal === 'stop' ? 'stop' : TOLD[step]
      if (told) service.report({kind: 'step', step: told, state: 'started'})
      facts = {...facts, ...(await DEEDS[step](run, signal))}
      if (told) service.report({kind: 'step', step: told, state: 'done'})
    }
  } catch (error) {
    throw await explainFailure(run, error, signal)
  } finally {
    if (run.end?.kind !== 'gone') await saving.release(run)
    await run.box?.close()
  }
}

function outcomeOf(run: HibernateRun): HibernateOutcome {
  const {begun, name, reasons, receipt, record, request, seen, service} = run
  const snapshot = record?.snapshot
  const state = record?.state
  if (!snapshot || !isEnd(state))
    throw new DumontError('INTEGRITY', 'the record of the instance does not say what became of it')
  const {instance} = record
  const seconds = (service.clock.now() - begun) / 1000
  return {
    state,
    goal: request.goal,
    instance: name,
    snapshot,
    ...(receipt ? {receipt} : {}),
    stillHourly: state === 'hibernated' ? 0 : stillHourly(state, seen.hourly),
    hourly: instance.hourly ?? undefined,
    storagePerGBMonth: instance.storagePerGBMonth ?? undefined,
    volumes: instance.volumes,
    reasons,
    monthly: savingsOfSleep(instance, {
      storedBytes: snapshot.storedBytes,
      uploadedBytes: run.uploaded,
      minutes: seconds / 60,
    }),
    seconds,
  }
}

/** What a stopped disk costs is not in the price of a running box. */
function stillHourly(state: string, hourly: number | undefined): number | undefined {
  return state === 'stopped' ? undefined : hourly
}

function isEnd(state: string | undefined): state is HibernateOutcome['state'] {
  return ['destroy-unconfirmed', 'hibernated', 'protected', 'stopped'].includes(state ?? '')
}

function checkGoal({goal}: HibernateRequest, {provider}: InstanceService): void {
  const {capabilities, name} = provider
  if (goal === 'destroy' && !(capabilities.destroy && provider.destroy))
    throw new DumontError('USAGE', `${name} cannot destroy an instance from here`, {
      hint: 'leave --destroy away: the snapshot is taken and proven, and the box lives on',
    })
  if (goal === 'stop' && !(capabilities.stop && provider.stop))
    throw new DumontError('USAGE', `${name} cannot stop an instance`, {
      hint: 'add --destroy, or leave --stop away: the snapshot is taken and proven all the same',
    })
}
