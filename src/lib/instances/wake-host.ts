import {DumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'
import {runHook} from './box-hook.js'
import {reasonOf} from './vendor-failure.js'
import type {WakeParts, WakeRequest, Woken} from './wake-request.js'
import {recordSuccessor, restoreOptions} from './wake-restore-steps.js'
import type {WakeRun} from './wake-run.js'

/** Restores onto a machine the operator has already. A root that holds something is refused (TARGET_UNWRITABLE) without `overwrite`. */
export async function wakeOnHost(
  host: string,
  {
    parts,
    roots,
    run,
  }: {
    readonly parts: WakeParts
    readonly run: Pick<WakeRun, 'isFork' | 'name' | 'request' | 'service' | 'snapshot'>
    readonly roots: readonly string[]
  },
  signal?: AbortSignal,
): Promise<Woken> {
  const {name, request, service, snapshot} = run
  const {clock} = service
  if (!request.overwrite) await refuseFull(host, {roots, run}, signal)
  const begun = clock.now()
  const restored = await parts.restore(
    {snapshot: snapshot.id, host, options: restoreOptions(request)},
    signal,
  )
  const seconds = {restore: (clock.now() - begun) / 1000}
  const instance = {provider: 'ssh', account: 'host', id: host.slice(0, 256)}
  await recordSuccessor(run, {instance, label: undefined}, signal)
  const hookFailure = await ready(request, {host, run}, signal)
  return {
    instance,
    label: undefined,
    host,
    endpoint: undefined,
    hourly: undefined,
    market: undefined,
    machine: undefined,
    name: run.isFork ? `${snapshot.label}.${name.id.slice(-8)}` : snapshot.label,
    restored,
    hookFailure,
    because: undefined,
    seconds,
  }
}

async function ready(
  {readyHook}: WakeRequest,
  {
    host,
    run,
  }: {readonly host: string; readonly run: Pick<WakeRun, 'name' | 'service' | 'snapshot'>},
  signal?: AbortSignal,
): Promise<string | undefined> {
  if (readyHook === undefined) return undefined
  const {name, service, snapshot} = run
  const data = {event: 'ready', host, from: name, snapshot: snapshot.id}
  try {
    await runHook({name: 'ready hook', command: readyHook, host, data}, service, signal)
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

async function refuseFull(
  host: string,
  {roots, run}: {readonly roots: readonly string[]; readonly run: Pick<WakeRun, 'service'>},
  signal?: AbortSignal,
): Promise<void> {
  const session = await run.service.openSession(host, signal)
  try {
    for (const root of roots) {
      const argv = ['find', root, '-mindepth', '1', '-maxdepth', '1', '-print', '-quit']
      const {stdout} = await session.exec(argv, signal ? {signal} : {})
      if (stdout.length === 0) continue
      throw new DumontError(
        'TARGET_UNWRITABLE',
        `${session.label} holds something in ${untrusted(root, 200)} already`,
        {
          hint: 'add --overwrite to write into it all the same; what the snapshot does not have stays',
        },
      )
    }
  } finally {
    await session.close()
  }
}
