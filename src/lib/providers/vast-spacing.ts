import type {Clock} from '../clock.js'

/**
 * Milliseconds between two requests, by endpoint. The vendor documents most of them and promises none; what it does not
 * document is taken for a second.
 */
const SPACING_MS = {
  attach: 1000,
  create: 4500,
  destroy: 3000,
  execute: 1500,
  list: 1000,
  logs: 1000,
  manage: 1000,
  search: 6000,
  show: 2000,
  whoami: 1000,
} as const

export type VastEndpoint = keyof typeof SPACING_MS

/**
 * One serial queue an endpoint. The pause counts from the end of a request, because only then is it certain that the
 * vendor has seen it.
 */
export class VastSpacing {
  readonly #clock: Clock
  readonly #tails = new Map<VastEndpoint, Promise<unknown>>()
  readonly #free = new Map<VastEndpoint, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Runs `work` when it is its turn; rejects with the signal's reason while it waits. */
  async turn<T>(endpoint: VastEndpoint, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#tails.get(endpoint) ?? Promise.resolve()
    const turn = before.then(async () => {
      await this.#pause(endpoint, signal)
      try {
        return await work()
      } finally {
        this.defer(endpoint, SPACING_MS[endpoint])
      }
    })
    this.#tails.set(endpoint, Promise.allSettled([turn]))
    return turn
  }

  /** No request to this endpoint for so long. */
  defer(endpoint: VastEndpoint, milliseconds: number): void {
    const until = this.#clock.now() + milliseconds
    this.#free.set(endpoint, Math.max(until, this.#free.get(endpoint) ?? 0))
  }

  /** A request that waits here may find, once awake, that another was told to stay away for longer. */
  async #pause(endpoint: VastEndpoint, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const wait = (this.#free.get(endpoint) ?? 0) - this.#clock.now()
    if (wait > 0) await this.#clock.sleep(wait, signal)
  }
}
