import {DumontError} from '../errors.js'
import {confirmGone} from './end-instance.js'
import type {InstanceService} from './instance-service.js'
import type {Journal} from './journal.js'
import {readRecord} from './record-log.js'
import type {WakeSituation} from './wake-decision.js'
import type {WakeParts, WakeRequest} from './wake-request.js'
import type {WakeSource} from './wake-source.js'

/** A wake whose subject is found. */
export interface Awakening {
  readonly request: WakeRequest
  readonly service: InstanceService
  readonly parts: WakeParts
  readonly journal: Journal
  readonly account: string
  readonly source: WakeSource
}

/** What decides whether there may be a copy. */
export async function situationOf(
  {account, request, service, source}: Awakening,
  signal?: AbortSignal,
): Promise<WakeSituation> {
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
export async function refuseUnlessGone(
  {service, source}: Awakening,
  signal?: AbortSignal,
): Promise<void> {
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
