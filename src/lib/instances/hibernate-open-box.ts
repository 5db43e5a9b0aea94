import {DumontError} from '../errors.js'
import type {Instance} from '../providers/provider.js'
import type {Session} from '../remote/session.js'
import {untrusted} from '../untrusted.js'
import {identifyBox, type BoxIdentity} from './box-identity.js'
import {placeOf} from './box-places.js'
import {openBoxTools, type BoxTools} from './box-tools.js'
import {endFreeze, endLeftFreezes, renewFreeze, type FreezeMark} from './freeze-guard.js'
import {freeze} from './freeze.js'
import type {HibernateRequest, OpenBox} from './hibernate-request.js'
import type {InstanceService} from './instance-service.js'
import {keepFrozen} from './keep-frozen.js'
import {proveReceipt} from './receipt.js'
import type {BoxConnection, ReceiptRequest, Refusal} from './receipt-terms.js'
import {recheckReceipt} from './recheck.js'
import {describeRestless} from './stillness-proof.js'
import {lookForWriters} from './stillness.js'
import {stopProcesses} from './stop-processes.js'
import type {WakeParts} from './wake-request.js'

const DEFAULT_ROOTS = ['/workspace']
const PROBE_MS = 5000
const THAWED: Refusal = {
  message: 'the box has thawed by itself, or by another dumont',
  remedy: 'hibernate again: what went on may have changed something',
  rule: 'stillness',
}

/** What a receipt needs to know that the request does not say. */
export type ReceiptSettings = Pick<
  ReceiptRequest,
  'acceptGpuOnly' | 'lifecycleAcknowledged' | 'storeNamed' | 'survives'
>

interface Opening {
  readonly service: InstanceService
  readonly probe: WakeParts['probe']
  readonly settings: ReceiptSettings
}

interface Way {
  readonly host: string
  readonly address?: BoxConnection['address']
}

/** Reaches an instance, by its own endpoints or by the given host, and proves that the box there is this instance. */
export async function openBox(
  {account, instance}: {readonly instance: Instance; readonly account: string},
  request: HibernateRequest,
  {probe, service, settings}: Opening,
  signal?: AbortSignal,
): Promise<OpenBox> {
  const {clock, openSession, provider, random} = service
  const {address, host} = await wayTo(instance, request.host, probe, signal)
  let session = await openSession(host, signal)
  const connection = (): BoxConnection => ({
    session,
    provider,
    instance,
    account,
    ...(address ? {address} : {}),
  })
  /** Snapshots take hours: a connection that was lost meanwhile is opened again, and the box identified anew by who asks. */
  const tools = async (stop?: AbortSignal): Promise<BoxTools> => {
    if (!(await answers(session))) {
      await session.close()
      session = await openSession(host, stop)
    }
    return openBoxTools(session, stop)
  }
  const {paths} = request.snapshot
  const roots = (paths.length > 0 ? paths : DEFAULT_ROOTS).map((path) => placeOf(Buffer.from(path)))
  let before: BoxIdentity
  let frozen: FreezeMark | undefined
  let release: (() => void) | undefined
  try {
    before = await identifyBox(await tools(signal), connection(), random, signal)
    // A run that died may have left the box frozen; what it halted would go on in the middle of this one.
    await endLeftFreezes(await tools(signal), signal)
  } catch (error) {
    await session.close()
    throw error
  }
  const writers = async (stop?: AbortSignal) =>
    (await lookForWriters(await tools(stop), roots, stop)).restless
  return {
    host,
    busy: async (stop) => (await writers(stop)).map(describeRestless),
    stopBusy: async (stop) => stopProcesses(await tools(stop), await writers(stop), clock, stop),
    freeze: async (stop) => {
      const name = Buffer.from(random(8)).toString('hex')
      frozen = await freeze(await tools(stop), {name}, stop)
      const mark = frozen
      release = keepFrozen((later) => openSession(host, later), mark, clock)
      // The connection that froze may be lost by then.
      return async (later) => {
        release?.()
        frozen = undefined
        await endFreeze(await tools(later), mark, later)
      }
    },
    prove: async (snapshotId, stop) => {
      await tools(stop)
      const {discard, level, sample} = request
      const question = {...connection(), ...settings, before, discard, level, sample, snapshotId}
      return proveReceipt(service, question, stop)
    },
    recheck: async (receipt, stop) => {
      await tools(stop)
      const refusals = await recheckReceipt(service, receipt, connection(), stop)
      if (!frozen || (await renewFreeze(await tools(stop), frozen, stop))) return refusals
      return [...refusals, THAWED]
    },
    close: () => {
      release?.()
      return session.close()
    },
  }
}

/** `host` beside an instance is taken at its word only as an address: the box must be this instance all the same. */
async function wayTo(
  instance: Instance,
  host: string | undefined,
  probe: WakeParts['probe'],
  signal?: AbortSignal,
): Promise<Way> {
  if (host !== undefined) return {host}
  let why = 'its vendor names no way in'
  for (const endpoint of instance.endpoints) {
    const answer = await probe({instance, endpoint}, signal)
    const {host: name, port, via} = endpoint
    if (answer.kind === 'closed') why = answer.why
    else if (via === 'direct') return {host: answer.host, address: {host: name, port}}
    else return {host: answer.host}
  }
  throw new DumontError('UNREACHABLE', `${untrusted(instance.id, 80)} cannot be reached: ${why}`, {
    hint: 'check its sshd and your key (some images run none), or name the address with --host',
    retry: 'later',
  })
}

async function answers(session: Session): Promise<boolean> {
  try {
    return (await session.exec(['true'], {timeoutMs: PROBE_MS})).code === 0
  } catch {
    return false
  }
}
