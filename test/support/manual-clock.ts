import type {Clock} from '../../src/lib/clock.js'

/** A clock that moves only when told; sleepers wake in order of their time. */
export class ManualClock implements Clock {
  #now: number
  #sleepers: {readonly at: number; readonly wake: () => void}[] = []

  constructor(now = Date.UTC(2026, 10, 23, 14, 2, 0)) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const abort = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        reject(signal?.reason)
      }
      const wake = () => {
        signal?.removeEventListener('abort', abort)
        resolve()
      }
      const sleeper = {at: this.#now + milliseconds, wake}
      this.#sleepers.push(sleeper)
      signal?.addEventListener('abort', abort)
    })
  }

  /** Moves on in steps, so that who sleeps again is woken again. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds
    for (;;) {
      await settled()
      const next = this.#sleepers.toSorted((one, other) => one.at - other.at)[0]
      if (!next || next.at > end) break
      this.#now = next.at
      this.#sleepers = this.#sleepers.filter((other) => other !== next)
      next.wake()
    }
    this.#now = end
  }
}

/** Lets everything that waits for nothing but promises and streams come to rest. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}
