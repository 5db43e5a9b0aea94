import {setTimeout as delay} from 'node:timers/promises'

/** Time as a dependency, so that no test waits for a real second. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Rejects with the signal's reason when aborted. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(milliseconds, signal) {
    try {
      await delay(milliseconds, undefined, signal ? {signal} : {})
    } catch (error) {
      // Node tells only that it was aborted, not why.
      signal?.throwIfAborted()
      throw error
    }
  },
}
