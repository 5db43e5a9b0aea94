import {DumontError} from '../errors.js'
import type {InstanceService} from './instance-service.js'
import {draftFrom} from './record-draft.js'
import {machineOf} from './record-of.js'
import {appendRecord} from './record-log.js'
import {runHook} from './box-hook.js'
import {reasonOf} from './vendor-failure.js'
import {bootVerdict} from './wake-boot.js'
import type {WakeParts, WakeRequest, Woken} from './wake-request.js'
import type {WakeSource} from './wake-source.js'

const POLL_MS = 10_000

/** Starts an instance whose disk was kept: nothing is restored, as everything is there. */
export async function startOld(
  {
    parts,
    request,
    service,
    source,
  }: {
    readonly request: WakeRequest
    readonly service: InstanceService
    readonly parts: WakeParts
    readonly source: WakeSource
  },
  signal?: AbortSignal,
): Promise<Woken> {
  const {clock, owner, provider, report, store} = service
  const {name} = source
  if (!provider.start) throw new DumontError('USAGE', `${provider.name} cannot start an instance`)
  const begun = clock.now()
  report({kind: 'step', step: 'boot', state: 'started'})
  await provider.start(name.id, signal)
  const {endpoint, host, seen} = await reachOld({begun, parts, service, id: name.id}, signal)
  report({kind: 'step', step: 'boot', state: 'done'})
  const seconds = {boot: (clock.now() - begun) / 1000}
  const machine = machineOf(name, seen)
  await appendRecord(
    store,
    name,
    {owner: owner.id, decide: (last) => ({...draftFrom(last, machine), state: 'running'})},
    signal,
  )
  let hookFailure: string | undefined
  try {
    if (request.readyHook !== undefined) {
      const data = {event: 'ready', instance: name, from: name, snapshot: null}
      await runHook({name: 'ready hook', command: request.readyHook, host, data}, service, signal)
    }
  } catch (error) {
    hookFailure = reasonOf(error)
  }
  return {
    instance: name,
    label: seen.label,
    host,
    endpoint,
    hourly: seen.hourly,
    market: seen.spec.market,
    machine: seen.machine,
    name: source.record?.snapshot?.label ?? `${name.provider}:${name.id}`,
    restored: undefined,
    hookFailure,
    because: 'its disk was kept',
    seconds,
  }
}

async function reachOld(
  {
    begun,
    id,
    parts,
    service,
  }: {
    readonly begun: number
    readonly id: string
    readonly parts: WakeParts
    readonly service: InstanceService
  },
  signal?: AbortSignal,
) {
  const {clock, provider} = service
  for (;;) {
    const seen = await provider.get(id, signal)
    const since = clock.now() - begun
    // It is shown as stopped until its vendor has found it a GPU.
    const instance = seen.phase === 'stopped' ? {...seen, phase: 'starting' as const} : seen
    const verdict = bootVerdict({instance, since, lostFor: since, wasSeen: true})
    if (verdict.kind === 'failed') throw notStarted(id, verdict.why)
    for (const endpoint of verdict.kind === 'running' ? seen.endpoints : []) {
      const answer = await parts.probe({instance: seen, endpoint}, signal)
      if (answer.kind === 'open') return {endpoint, host: answer.host, seen}
    }
    if (verdict.kind === 'running' && since > 2 * 15 * 60_000)
      throw notStarted(id, 'it cannot be reached')
    await clock.sleep(POLL_MS, signal)
  }
}

function notStarted(id: string, why: string): DumontError {
  return new DumontError('VENDOR_BUSY', `${id} was asked to start and did not: ${why}`, {
    hint: 'its GPU may be taken: try again later, or wake its snapshot elsewhere with --snapshot ID --fork; once it runs it is billed',
    retry: 'later',
  })
}
