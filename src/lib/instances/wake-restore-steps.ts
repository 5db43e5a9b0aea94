import {isDumontError, type ErrorCode} from '../errors.js'
import type {RestoreOptions} from '../snapshots/restore-host.js'
import {throwIfInterrupted} from '../store/interruption.js'
import {runHook} from './box-hook.js'
import {RESTORE_CLAIM_MS, withoutClaim} from './claim.js'
import {draftFrom} from './record-draft.js'
import {machineOf, namedMachine} from './record-of.js'
import {appendRecord, type Draft, type InstanceName} from './record-log.js'
import type {InstanceRecord} from './record.js'
import {reasonOf} from './vendor-failure.js'
import {note, timed, writeClaim, type MachineRun, type WakeDeed, type WakeRun} from './wake-run.js'

/** What another machine would fail at just the same. */
const HOPELESS: ReadonlySet<ErrorCode> = new Set([
  'ACCESS_DENIED',
  'BUCKET_MISSING',
  'CLOCK_SKEW',
  'CONFIG',
  'FORMAT_NEWER',
  'INTEGRITY',
  'SNAPSHOT_UNKNOWN',
  'STORE_UNSUITABLE',
  'USAGE',
])

export const restore: WakeDeed = async (machine, signal) => {
  const {clock} = machine.all.service
  const {parts, request, snapshot} = machine.all
  const {host} = machine
  if (host === undefined) throw new Error('a way in is needed')
  // Hours of work follow: nobody shall take the machine for abandoned meanwhile.
  await writeClaim(machine, {forMs: RESTORE_CLAIM_MS}, signal)
  await note(machine, 'restoring')
  const begun = clock.now()
  try {
    const options = restoreOptions(request)
    machine.restored = await parts.restore({snapshot: snapshot.id, host, options}, signal)
  } catch (error) {
    throwIfInterrupted(signal)
    if (!isDumontError(error) || HOPELESS.has(error.code)) machine.fatal = error
    return {failed: reasonOf(error), hopeless: machine.fatal !== undefined}
  }
  // It holds somebody's work now: from here on only a receipt may end it.
  await note(machine, 'restored')
  timed(machine, 'restore', begun)
  return {restored: true}
}

/** A hook that fails leaves the box as it is: its owner looks. */
export const hook: WakeDeed = async (machine, signal) => {
  const {name, request, service, snapshot} = machine.all
  const {host, id, label} = machine
  const command = request.readyHook
  if (command === undefined || host === undefined) return {hooked: true}
  service.report({kind: 'step', step: 'ready-hook', state: 'started'})
  const data = {
    event: 'ready',
    instance: {...name, id: id ?? null},
    from: name,
    label: label ?? null,
  }
  try {
    await runHook(
      {name: 'ready hook', command, host, data: {...data, snapshot: snapshot.id}},
      service,
      signal,
    )
    service.report({kind: 'step', step: 'ready-hook', state: 'done'})
  } catch (error) {
    throwIfInterrupted(signal)
    machine.hookFailure = reasonOf(error)
    service.report({kind: 'warning', code: 'ready-hook', message: machine.hookFailure})
  }
  return {hooked: true}
}

/** The new machine gets a log of its own; the old one’s says what it became. */
export const handOver: WakeDeed = async (machine, signal) => {
  const {account, service} = machine.all
  const {host, id, seen} = machine
  if (id === undefined || host === undefined || !seen) throw new Error('a machine is needed')
  const instance = {provider: service.provider.name, account, id}
  const name = await recordChild(machine, instance, signal)
  await recordSuccessor(machine.all, {instance, label: machine.label}, signal)
  await note(machine, 'handed-over')
  const {endpoint, hookFailure, label, restored, seconds, taken} = machine
  machine.woken = {
    instance,
    label,
    host,
    endpoint,
    hourly: seen.hourly,
    market: seen.spec.market,
    machine: seen.machine,
    name,
    restored,
    hookFailure,
    because: taken?.because,
    seconds,
  }
  return {handedOver: true}
}

/** The log of the parent, after one of its children is there. */
export async function recordSuccessor(
  {isFork, name, service, snapshot}: Pick<WakeRun, 'isFork' | 'name' | 'service' | 'snapshot'>,
  {instance, label}: {readonly instance: InstanceName; readonly label: string | undefined},
  signal?: AbortSignal,
): Promise<void> {
  const {owner, store} = service
  const at = new Date(await store.now(signal)).toISOString()
  const decide = (last: InstanceRecord | undefined): Draft => {
    const known = (last?.successors ?? []).filter(({id}) => id !== instance.id)
    const changes = {
      successors: [...known, {...instance, at, snapshot: snapshot.id}].slice(-256),
      state: isFork ? (last?.state ?? 'claimed') : ('woken' as const),
    }
    const closed = label === undefined ? undefined : withoutClaim(last, label, changes)
    return closed ?? {...draftFrom(last, last?.instance ?? namedMachine(name)), ...changes}
  }
  await appendRecord(store, name, {owner: owner.id, decide}, signal)
}

export function restoreOptions(request: WakeRun['request']): RestoreOptions {
  return {
    include: [],
    overwrite: 'if-changed',
    delete: false,
    devices: false,
    includeAccessFiles: false,
    dryRun: false,
    confirmDelete: async () => false,
    ...request.restore,
  }
}

async function recordChild(
  {all, label, seen}: MachineRun,
  instance: InstanceName,
  signal?: AbortSignal,
): Promise<string> {
  const {isFork, name, service, snapshot} = all
  // A parent that lives on keeps its name for itself.
  const own = isFork ? `${snapshot.label}.${(label ?? instance.id).slice(-8)}` : snapshot.label
  const machine = seen ? machineOf(instance, seen) : namedMachine(instance)
  const from = {provider: name.provider, account: name.account, id: name.id, snapshot: snapshot.id}
  const decide = (last: InstanceRecord | undefined): Draft => ({
    ...draftFrom(last, machine),
    state: 'running',
    snapshot: {...snapshot, label: own, provenAt: null},
    from,
  })
  const {owner, store} = service
  await appendRecord(store, instance, {owner: owner.id, decide}, signal)
  return own
}
