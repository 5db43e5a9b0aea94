import type {Session} from '../remote/session.js'
import {openReach, type Reach} from '../store/reach.js'
import {startWorker, type Worker} from '../worker/worker-client.js'
import type {BoxService, Equipment} from './service.js'

/** A box with a worker that has said hello, and how it reaches the store. */
export interface ConnectedBox {
  readonly session: Session
  readonly worker: Worker
  readonly reach: Reach
  readonly equipment: Equipment
  /** Whether a connection that carries data was lost; the worker's requests fail by it. */
  isCut(): boolean
  /** Ends worker, tunnels and connection. */
  close(): Promise<void>
}

const TUNNELS = 4

/** Connects, equips and starts the worker; what was opened is closed again when a later step fails. */
export async function connectWorker(
  host: string,
  service: BoxService,
  signal?: AbortSignal,
): Promise<ConnectedBox> {
  const {clock, equip, openSession, report, store} = service
  const opened: {close(): Promise<unknown>}[] = []
  const close = async () => {
    for (const one of opened.toReversed()) await one.close()
  }
  const opens = async <T extends {close(): Promise<unknown>}>(opening: Promise<T>): Promise<T> => {
    const one = await opening
    opened.push(one)
    return one
  }
  try {
    report({kind: 'step', step: 'connect', state: 'started', host})
    const session = await opens(openSession(host, signal))
    report({kind: 'step', step: 'connect', state: 'done', detail: session.label, host})
    report({kind: 'step', step: 'equip', state: 'started', host})
    const equipment = await equip(session, signal)
    const cut = brokenLine()
    const either = {...session, lost: cut.or(session.lost)}
    const worker = await opens(startWorker(either, equipment, clock, signal))
    const isTunnelled = store.reach === 'tunnel' && !session.isLocal
    const count = isTunnelled ? (service.tunnels ?? TUNNELS) : 0
    // Connections of their own: bulk data must not stand in the way of the worker's messages.
    const tunnels = await openAll(count, () => opens(openSession(host, signal)))
    for (const tunnel of tunnels) tunnel.lost.catch(cut.by)
    const forwarders = tunnels.map((tunnel) => tunnel.forward.bind(tunnel))
    const reach = await opens(openReach(store, forwarders, signal))
    report({kind: 'step', step: 'equip', state: 'done', host})
    return {session, worker, reach, equipment, isCut: cut.is, close}
  } catch (error) {
    await close()
    throw error
  }
}

/** Nobody else notices when a tunnel dies: sshd goes on taking bytes for it until its own time is up. */
function brokenLine() {
  let isCut = false
  let reject: (error: unknown) => void
  const lost = new Promise<never>((_resolve, refuse) => (reject = refuse))
  return {
    by: (error: unknown) => {
      isCut = true
      reject(error)
    },
    is: () => isCut,
    or: (other: Promise<never>) => {
      const either = Promise.race([lost, other])
      either.catch(() => {})
      return either
    },
  }
}

/** Waits for all, so that none is left opening when another has failed. */
async function openAll<T>(count: number, open: () => Promise<T>): Promise<T[]> {
  const attempts = await Promise.allSettled(Array.from({length: count}, open))
  return attempts.map((attempt) => {
    if (attempt.status === 'rejected') throw attempt.reason
    return attempt.value
  })
}
