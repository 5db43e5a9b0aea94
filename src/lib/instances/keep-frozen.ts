import type {Clock} from '../clock.js'
import {isDumontError} from '../errors.js'
import type {Session} from '../remote/session.js'
import {openBoxTools} from './box-tools.js'
import {renewFreeze, type FreezeMark} from './freeze-guard.js'

const RENEW_MS = 30_000
const TRY_MS = 20_000

/**
 * Renews a freeze until told to stop, each time over a connection of its own: the others may be busy or lost. A renewal that
 * fails is tried again; whether the freeze still holds is asked by who leans on it.
 */
export function keepFrozen(
  connect: (signal?: AbortSignal) => Promise<Session>,
  mark: FreezeMark,
  clock: Clock,
): () => void {
  const over = new AbortController()
  const renew = async (): Promise<void> => {
    const signal = AbortSignal.any([over.signal, AbortSignal.timeout(TRY_MS)])
    const session = await connect(signal)
    try {
      await renewFreeze(await openBoxTools(session, signal), mark, signal)
    } finally {
      await session.close()
    }
  }
  const loop = async (): Promise<void> => {
    while (!over.signal.aborted) {
      try {
        await clock.sleep(RENEW_MS, over.signal)
        await renew()
      } catch (error) {
        // Lost, refused, or over: the guard on the box decides.
        if (!over.signal.aborted && !isDumontError(error) && !isTimeout(error)) throw error
      }
    }
  }
  loop().catch(() => over.abort())
  return () => over.abort()
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError'
}
