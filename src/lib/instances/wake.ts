import {DumontError, EXIT, isDumontError} from '../errors.js'
import {mapBounded} from '../snapshots/map-bounded.js'
import {exitCodeOfRestore} from '../snapshots/restore-snapshot.js'
import {openRepository} from '../store/repository.js'
import {confirmGone} from './end-instance.js'
import type {InstanceService} from './instance-service.js'
import {openJournal, type Journal} from './journal.js'
import {readRecord} from './record-log.js'
import {reconcile} from './reconcile.js'
import {asDumontError, reasonOf} from './vendor-failure.js'
import {adoptMachines} from './wake-adopt.js'
import {decideWake} from './wake-decision.js'
import {wakeOnHost} from './wake-host.js'
import {wakeMachine, type Adopted} from './wake-machine.js'
import {planWake, refusePoorPlan} from './wake-plan.js'
import {openOfferPool} from './wake-pool.js'
import type {Leak, WakeParts, WakePlan, WakeRequest, WakeResult, Woken} from './wake-request.js'
import type {WakeRun} from './wake-run.js'
import {findWakeSource, rootsOf, savedOf, wantedSpec, type WakeSource} from './wake-source.js'
import {startOld} from './wake-start.js'
import {discardMachine, sweepUnsettled} from './wake-sweep.js'

const AT_ONCE = 16

interface Awakening {
  readonly request: WakeRequest
  readonly service: InstanceService
  readonly parts: WakeParts
  readonly journal: Journal
  readonly account: string
  readonly source: WakeSource
}

/**
 * Brings a hibernated instance or a snapshot back: starts the old instance where it is only stopped, restores onto `host`, or rents
 * a machine like the old one. Whatever it rented is in the result or in the message of the error; nothing else is left.
 */
export async function wake(
  request: WakeRequest,
  {parts, service}: {readonly parts: WakeParts; readonly service: InstanceService},
  signal?: AbortSignal,
): Promise<WakeResult> {
  const {clock, provider, report, stateDir, store} = service
  const begun = clock.now()
  checkRequest(request)
  try {
    report({kind: 'step', step: 'look', state: 'started'})
    const repository = await openRepository(store, {create: true}, signal)
    await reconcile(service, {}, signal)
    const {account} = await provider.whoami(signal)
    const source = await findWakeSource(request, {account, service}, signal)
    const journal = openJournal(stateDir, repository.id, clock)
    const awakening = {request, service, parts, journal, account, source}
    report({kind: 'step', step: 'look', state: 'done'})
    const result = await bring(awakening, signal)
    return {...result, seconds: (clock.now() - begun) / 1000}
  } catch (error) {
    throw asDumontError(error)
  }
}

/** 0 when every machine is ready; 3 when a hook failed or one is missing; else what the restore says. */
export function exitCodeOfWake({failures, leaks, machines}: WakeResult): number {
  const restores = machines.map(({restored}) => (restored ? exitCodeOfRestore(restored) : EXIT.ok))
  const worst = Math.max(EXIT.ok, ...restores)
  if (worst !== EXIT.ok) return worst
  const isShort =
    failures.length > 0 ||
    leaks.length > 0 ||
    machines.some(({hookFailure}) => hookFailure !== undefined)
  return isShort ? EXIT.incomplete : EXIT.ok
}

type Brought = Omit<WakeResult, 'seconds'>

const NOTHING = {machines: [], failures: [], leaks: [], wasted: 0}

async function bring(awakening: Awakening, signal?: AbortSignal): Promise<Brought> {
  const {request, source} = awakening
  const decision = decideWake(await situationOf(awakening, signal))
  if (decision === 'start') {
    if (request.dryRun) return {kind: 'planned', snapshot: undefined, ...NOTHING}
    const machine = await startOld(awakening, signal)
    return {kind: 'started', snapshot: undefined, ...NOTHING, machines: [machine]}
  }
  if (!source.stored)
    throw new DumontError('SNAPSHOT_UNKNOWN', `no snapshot is known of ${source.name.id}`, {
      hint: 'see `dumont instance list` and `dumont snapshot list`',
    })
  if (decision === 'confirm') await refuseUnlessGone(awakening, signal)
  return request.host === undefined
    ? rent(awakening, signal)
    : restoreOn(request.host, awakening, signal)
}

async function restoreOn(
  host: string,
  awakening: Awakening,
  signal?: AbortSignal,
): Promise<Brought> {
  const {parts, request, service, source} = awakening
  const {stored} = source
  if (!stored) throw new Error('a snapshot is needed')
  const snapshot = savedOf(stored, source.record?.snapshot)
  if (request.dryRun) return {kind: 'planned', snapshot: snapshot.id, ...NOTHING}
  const run = {isFork: request.fork, name: source.name, request, service, snapshot}
  const machine = await wakeOnHost(host, {parts, roots: rootsOf(stored), run}, signal)
  return {kind: 'restored', snapshot: snapshot.id, ...NOTHING, machines: [machine]}
}

async function rent(awakening: Awakening, signal?: AbortSignal): Promise<Brought> {
  const {request, service, source} = awakening
  const {stored} = source
  if (!stored) throw new Error('a snapshot is needed')
  const snapshot = savedOf(stored, source.record?.snapshot)
  const spec = wantedSpec(request, source)
  const plan = await planWake(request, {service, source, snapshot, spec}, signal)
  if (request.dryRun) return {kind: 'planned', snapshot: snapshot.id, plan, ...NOTHING}
  const downloadGB = snapshot.storedBytes / 1e9
  const run: WakeRun = {
    ...awakening,
    name: source.name,
    snapshot,
    spec,
    maxHourly: plan.maxHourly,
    pool: openOfferPool(plan.offers, {downloadGB, maxSpend: request.maxSpend}),
    isFork: request.fork || request.count > 1,
    leaks: [],
    unsettled: [],
  }
  return rentAll(run, plan, signal)
}

async function rentAll(run: WakeRun, plan: WakePlan, signal?: AbortSignal): Promise<Brought> {
  const {leaks, request} = run
  const failures: unknown[] = []
  const machines: Woken[] = []
  try {
    const adopted = await adoptMachines(run, signal)
    const {kept, surplus} = divide(adopted, request.count)
    for (const one of surplus) await discardMachine(run, one, signal)
    const wanted = request.count - kept.length
    if (wanted > 0) {
      refusePoorPlan({...plan, count: wanted})
      if (!(await request.confirm(plan, signal)))
        throw new DumontError('INTERRUPTED', 'nothing was rented')
    }
    const count = Math.max(request.count, kept.length)
    const places = Array.from({length: count}, (_, place) => kept[place])
    await mapBounded(places, AT_ONCE, async (one) => {
      try {
        machines.push(await wakeMachine(run, one, signal))
      } catch (error) {
        failures.push(error)
      }
    })
    await sweepUnsettled(run, signal)
  } catch (error) {
    throw withLeaks(error, leaks, machines)
  }
  const [first] = failures
  if (machines.length === 0 && first !== undefined) throw withLeaks(first, leaks, [])
  const lines = failures.map(reasonOf)
  const {wasted} = run.pool
  return {kind: 'woken', snapshot: run.snapshot.id, plan, machines, failures: lines, leaks, wasted}
}

/** What holds a restore is kept, however many were asked for; of the rest no more than that. */
function divide(adopted: readonly Adopted[], count: number) {
  const ordered = adopted.toSorted(
    (one, other) => Number(other.isRestored) - Number(one.isRestored),
  )
  const isKept = ({isRestored}: Adopted, place: number) => isRestored || place < count
  return {
    kept: ordered.filter(isKept),
    surplus: ordered.filter((one, place) => !isKept(one, place)),
  }
}

/** An error that says what is still rented: no other place would. */
function withLeaks(error: unknown, leaks: readonly Leak[], ready: readonly Woken[]): unknown {
  const rented = [
    ...leaks.map(
      ({hourly, id, label}) => `${id ?? 'perhaps one'} labelled ${label}${price(hourly)}`,
    ),
    ...ready.map(({hourly, instance}) => `${instance.id} (ready)${price(hourly)}`),
  ]
  const known = asDumontError(error)
  if (rented.length === 0 || !isDumontError(known)) return known
  return new DumontError(known.code, `${known.message}; still rented: ${rented.join(', ')}`, {
    cause: error,
    hint: 'run the same command again: it goes on with what is there; or end it at the vendor',
    retry: 'later',
  })
}

function price(hourly: number | undefined): string {
  return hourly === undefined ? '' : ` for $${hourly.toFixed(3)}/h`
}

async function situationOf({account, request, service, source}: Awakening, signal?: AbortSignal) {
  const {name, newer, old, record} = source
  const {provider, store} = service
  const alive: string[] = []
  for (const successor of (record?.successors ?? []).slice(-20)) {
    const isHere = successor.provider === provider.name && successor.account === account
    // Elsewhere only its own record can say that it is gone.
    const isGone = isHere
      ? (await provider.get(successor.id, signal)).phase === 'gone'
      : (await readRecord(store, successor, signal))?.state === 'hibernated'
    if (!isGone) alive.push(`${successor.provider}:${successor.id}`)
  }
  return {
    id: name.id,
    state: record?.state,
    phase: old?.phase,
    fork: request.fork,
    named: request.snapshot !== undefined || /^\d{8}T/.test(request.what),
    newer,
    alive,
  }
}

/** One reading is not enough to make a second copy. */
async function refuseUnlessGone({service, source}: Awakening, signal?: AbortSignal): Promise<void> {
  const {clock, provider, report} = service
  const {name, record} = source
  report({kind: 'step', step: 'confirm-gone', state: 'started'})
  const contract = {id: name.id, createdAt: record?.instance.createdAt ?? undefined}
  if (!(await confirmGone(contract, {clock, provider}, signal)))
    throw new DumontError('INSTANCE_BUSY', `it is not certain that ${name.id} is gone`, {
      hint: 'run the command again; for a second copy add --snapshot ID --fork',
      retry: 'later',
    })
  report({kind: 'step', step: 'confirm-gone', state: 'done'})
  const proven = record?.snapshot?.provenAt
  if (record?.state === 'protected')
    report({
      kind: 'warning',
      code: 'vanished',
      message: `${name.id} went away without dumont; what changed after ${proven ?? 'its snapshot'} is lost`,
    })
}

function checkRequest({count, fork, host, snapshot}: WakeRequest): void {
  if (!Number.isSafeInteger(count) || count < 1 || count > 32)
    throw new DumontError('USAGE', '--count is a number from 1 to 32')
  if (host !== undefined && count > 1)
    throw new DumontError('USAGE', '--host and --count do not go together', {
      hint: 'for several machines of your own use `dumont snapshot restore` with several --host',
    })
  if (fork && snapshot === undefined) throw new DumontError('USAGE', '--fork needs --snapshot ID')
}
