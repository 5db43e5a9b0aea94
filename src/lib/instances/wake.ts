import {DumontError, EXIT} from '../errors.js'
import {exitCodeOfRestore} from '../snapshots/restore-snapshot.js'
import type {Savings} from '../providers/savings.js'
import {openRepository} from '../store/repository.js'
import type {InstanceService} from './instance-service.js'
import {openJournal} from './journal.js'
import {savingsOfSleep} from './record-savings.js'
import {reconcile} from './reconcile.js'
import {asDumontError} from './vendor-failure.js'
import {savedOf} from './saved-snapshot.js'
import {decideWake} from './wake-decision.js'
import {wakeOnHost} from './wake-host.js'
import {dearest, planWake} from './wake-plan.js'
import {openOfferPool} from './wake-pool.js'
import {rentAll} from './wake-rent.js'
import type {WakeParts, WakeRequest, WakeResult} from './wake-request.js'
import type {WakeRun} from './wake-run.js'
import {refuseUnlessGone, situationOf, type Awakening} from './wake-situation.js'
import {findWakeSource, rootsOf, wantedSpec} from './wake-source.js'
import {startOld} from './wake-start.js'

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
    const repository = await openRepository(store, {create: false}, signal)
    if (!repository)
      throw new DumontError('SNAPSHOT_UNKNOWN', `${store.url} was never used`, {
        hint: 'name the store that holds the snapshot with --store',
      })
    await reconcile(service, {waking: request.what}, signal)
    const {account} = await provider.whoami(signal)
    const source = await findWakeSource(request, {account, service}, signal)
    const journal = openJournal(stateDir, repository.id, clock)
    const env = {...source.record?.values, ...request.env}
    const awakening = {request: {...request, env}, service, parts, journal, account, source}
    report({kind: 'step', step: 'look', state: 'done'})
    const result = await bring(awakening, signal)
    const seconds = (clock.now() - begun) / 1000
    const savings = savedBySleep(awakening, result, seconds)
    return {...result, ...(savings ? {savings} : {}), seconds}
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

/** Only for one machine in the place of one that was ended. */
function savedBySleep(
  {service, source: {record}}: Awakening,
  {kind, machines}: Brought,
  seconds: number,
): Savings | undefined {
  if (kind !== 'woken' || machines.length !== 1 || !record?.snapshot || record.endedAt === null)
    return undefined
  const {storedBytes} = record.snapshot
  const hours = (service.clock.now() - Date.parse(record.endedAt)) / 3_600_000
  return savingsOfSleep(record.instance, {
    hours: Math.max(0, hours),
    minutes: seconds / 60,
    storedBytes,
    uploadedBytes: storedBytes,
    downloadedBytes: storedBytes,
  })
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
  const plan = () => planWake(request, {service, source, snapshot, spec}, signal)
  if (request.dryRun)
    return {kind: 'planned', snapshot: snapshot.id, plan: await plan(), ...NOTHING}
  const run: WakeRun = {
    ...awakening,
    name: source.name,
    snapshot,
    spec,
    maxHourly: dearest(request, source) ?? Infinity,
    pool: openOfferPool([], {downloadGB: 0, maxSpend: undefined}),
    isFork: request.fork || request.count > 1,
    leaks: [],
    unsettled: [],
  }
  return rentAll(run, plan, signal)
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
