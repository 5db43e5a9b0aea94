import {isDumontError} from '../errors.js'
import type {Session} from '../remote/session.js'
import {connectWorker, type ConnectedBox} from './connect-worker.js'
import type {BoxService} from './service.js'

/**
 * Waits between connections. Together longer than the minute of silence after which a worker that lost us gives up, and
 * with it the lock that it holds.
 */
const WAITS_MS = [1000, 2000, 5000, 10_000, 20_000, 30_000]

const PROBE_MS = 5000

/**
 * Works on a box, and begins again on a new connection when the old one is lost in the middle: a new worker with the same
 * journal goes on where the old one was. A box that could not be reached at all is not tried again.
 */
export async function onBox<T>(
  host: string,
  service: BoxService,
  work: (box: ConnectedBox) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const {clock, report} = service
  for (let round = 0; ; round += 1) {
    const line = {lost: false}
    try {
      return await once(host, {line, service, work}, signal)
    } catch (error) {
      const wait = WAITS_MS[round]
      const isAgain = line.lost || (round > 0 && isPassing(error))
      if (!isAgain || wait === undefined || signal?.aborted) throw error
      report({
        kind: 'note',
        message: `the connection was lost; trying again in ${wait / 1000} s`,
        host,
      })
      await clock.sleep(wait, signal)
    }
  }
}

interface Round<T> {
  readonly line: {lost: boolean}
  readonly service: BoxService
  readonly work: (box: ConnectedBox) => Promise<T>
}

async function once<T>(
  host: string,
  {line, service, work}: Round<T>,
  signal?: AbortSignal,
): Promise<T> {
  const box = await connectWorker(host, service, signal)
  try {
    return await work(box)
  } catch (error) {
    const isPart = isPassing(error) && !signal?.aborted
    line.lost = isPart && (box.isCut() || !(await answers(box.session)))
    throw error
  } finally {
    await box.close()
  }
}

/** Whether the connection is still there: what could not be reached may as well have been the store. */
async function answers(session: Session): Promise<boolean> {
  try {
    return (await session.exec(['true'], {timeoutMs: PROBE_MS})).code === 0
  } catch {
    return false
  }
}

/** While the box comes back: it cannot be reached yet, or the worker that lost us still holds its lock. */
function isPassing(error: unknown): boolean {
  return isDumontError(error) && (error.code === 'UNREACHABLE' || error.code === 'LOCKED')
}
