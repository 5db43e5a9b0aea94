import {VirtualClock} from './virtual-clock.js'

/** A vendor's clock for programs that live in real time. */
export class PassingClock extends VirtualClock {
  override now(): number {
    return Date.now()
  }

  override plan(at: number, work: () => void): void {
    if (at <= Date.now()) work()
    else setTimeout(work, at - Date.now()).unref()
  }
}
