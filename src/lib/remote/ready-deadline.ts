import type {Clock} from '../clock.js'

/** A time limit that does not run while a person is asked. */
export interface Deadline {
  pause(): void
  /** Starts the full time anew. */
  resume(): void
  /** For good. */
  stop(): void
}

export function readyDeadline(clock: Clock, milliseconds: number, expired: () => void): Deadline {
  let running = new AbortController()
  let stopped = false
  const pause = () => running.abort()
  return {
    pause,
    resume() {
      pause()
      if (stopped) return
      running = new AbortController()
      clock.sleep(milliseconds, running.signal).then(expired, () => {})
    },
    stop() {
      stopped = true
      pause()
    },
  }
}
