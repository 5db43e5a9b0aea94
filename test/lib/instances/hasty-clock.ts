import type {Clock} from '../../../src/lib/clock.js'

/** A clock on which every wait is over at once. */
export class HastyClock implements Clock {
  #now: number

  constructor(now = Date.UTC(2026, 10, 23, 14, 2, 0)) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.#now += milliseconds
  }
}
