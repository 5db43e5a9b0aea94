import type {Clock} from '../clock.js'
import {throwIfInterrupted} from './interruption.js'

/** Why another attempt may help: the connection failed, or the store wants less of us. */
export type Fault = 'broken' | 'busy'

export interface RetryPolicy {
  readonly clock: Clock
  /** Tries in all. */
  readonly attempts: number
  /** In [0, 1). */
  readonly random: () => number
  /** Undefined: the failure is final. */
  readonly faultOf: (error: unknown) => Fault | undefined
}

const BASE_MS: Readonly<Record<Fault, number>> = {broken: 200, busy: 1000}
const MOST_MS = 20_000

/** Repeats with exponential, fully jittered pauses, so that many clients do not come back together. */
export async function withRetry<T>(
  attempt: (number: number) => Promise<T>,
  {attempts, clock, faultOf, random}: RetryPolicy,
  signal?: AbortSignal,
): Promise<T> {
  for (let number = 1; ; number++) {
    throwIfInterrupted(signal)
    try {
      return await attempt(number)
    } catch (error) {
      const fault = faultOf(error)
      if (fault === undefined || number >= attempts || signal?.aborted) throw error
      await clock.sleep(pause(fault, number, random), signal)
    }
  }
}

function pause(fault: Fault, number: number, random: () => number): number {
  const most = Math.min(MOST_MS, BASE_MS[fault] * 2 ** (number - 1))
  // Half of it is certain: a store that says "slow down" is not asked again at once.
  return Math.round(most * (0.5 + random() / 2))
}
