import type {Reply} from './reply.js'

/** Seconds between two requests to one endpoint with one key, as documented; others have none. */
const SECONDS: Readonly<Record<string, number>> = {
  create: 4.5,
  show: 2,
  list: 1,
  manage: 1,
  destroy: 3,
  execute: 1.5,
  search: 6,
}
const CREATE_PENALTY = 12
/** Rounding of sums of milliseconds. */
const SLACK_MS = 1e-3

/** Answers 429 to whoever comes too soon, and remembers it. */
export class Spacing {
  readonly tooSoon: string[] = []
  readonly #last = new Map<string, number>()
  readonly #closed = new Map<string, number>()

  refuse(endpoint: string, at: number): Reply | undefined {
    const seconds = SECONDS[endpoint] ?? 0
    const since = at - (this.#last.get(endpoint) ?? Number.NEGATIVE_INFINITY)
    const isClosed = at < (this.#closed.get(endpoint) ?? 0) - SLACK_MS
    this.#last.set(endpoint, at)
    if (since >= seconds * 1000 - SLACK_MS && !isClosed) return undefined
    this.tooSoon.push(`${endpoint} after ${since} ms`)
    if (endpoint === 'create') this.close(endpoint, at)
    return {status: 429, body: `API requests too frequent: endpoint threshold=${seconds}`}
  }

  /** After a 429 to a create nothing is taken for a while. */
  close(endpoint: string, at: number): void {
    if (endpoint === 'create') this.#closed.set(endpoint, at + CREATE_PENALTY * 1000)
  }
}
