import type {Clock} from '../../../src/lib/clock.js'

interface Due {
  readonly at: number
  readonly run: () => void
}

/**
 * Time that passes only while somebody sleeps: whenever nothing is held, it jumps to the next sleeper. What takes real
 * time – a request, a session – goes under `during`, so that time limits on this clock do not run out meanwhile.
 */
export class VirtualClock implements Clock {
  #now: number
  #held = 0
  #sleepers: Due[] = []
  #plans: Due[] = []
  #pumping = false

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
      const run = () => {
        signal?.removeEventListener('abort', abort)
        resolve()
      }
      const sleeper = {at: this.#now + Math.max(0, milliseconds), run}
      this.#sleepers.push(sleeper)
      signal?.addEventListener('abort', abort)
      this.#pump()
    })
  }

  /** Runs `work` when that time has come; of itself this lets no time pass. */
  plan(at: number, work: () => void): void {
    if (at <= this.#now) work()
    else this.#plans.push({at, run: work})
  }

  /** Time stands still until the promise is settled. */
  async during<T>(promise: Promise<T>): Promise<T> {
    this.#held++
    try {
      return await promise
    } finally {
      this.#held--
      this.#pump()
    }
  }

  /** Moves on at once; who sleeps until then or less wakes. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds
    for (;;) {
      const next = first(this.#sleepers)
      if (!next || next.at > end) break
      this.#wake(next)
    }
    this.#reach(end)
  }

  #pump(): void {
    if (this.#pumping || this.#held > 0 || this.#sleepers.length === 0) return
    this.#pumping = true
    void this.#jump()
  }

  async #jump(): Promise<void> {
    await rest()
    this.#pumping = false
    const next = first(this.#sleepers)
    if (next && this.#held === 0) this.#wake(next)
    this.#pump()
  }

  #wake(sleeper: Due): void {
    this.#reach(sleeper.at)
    this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
    sleeper.run()
  }

  #reach(time: number): void {
    for (;;) {
      const next = first(this.#plans)
      if (!next || next.at > time) break
      this.#plans = this.#plans.filter((other) => other !== next)
      this.#now = Math.max(this.#now, next.at)
      next.run()
    }
    this.#now = Math.max(this.#now, time)
  }
}

function first(dues: readonly Due[]): Due | undefined {
  return dues.toSorted((one, other) => one.at - other.at)[0]
}

/** Lets what waits for nothing but promises come to rest first. */
async function rest(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
}
