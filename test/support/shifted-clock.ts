import {type Clock, systemClock} from '../../src/lib/clock.js'

/** The system's time plus `shift`; sleeping takes no time and is remembered. */
export class ShiftedClock implements Clock {
  shift = 0
  readonly slept: number[] = []

  now(): number {
    return systemClock.now() + this.shift
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.slept.push(milliseconds)
  }
}
