import type {Arrival, Fields, Reply} from './reply.js'

/** What goes wrong with one request. `after` means: the server has done the work, and then this happens. */
export type Fault =
  | {readonly kind: 'reply'; readonly reply: Reply; readonly after?: boolean}
  | {readonly kind: 'reset'; readonly after?: boolean}
  | {readonly kind: 'stall'; readonly after?: boolean}
  /** The answer stops in the middle of its JSON, properly ended. */
  | {readonly kind: 'truncate'}
  /** The answer arrives byte by byte. */
  | {readonly kind: 'dribble'}
  /** The answer's JSON is another. */
  | {readonly kind: 'edit'; readonly edit: (body: Fields) => unknown}

export interface FaultRule {
  /** The name of an endpoint, such as `create`; every endpoint when left out. */
  readonly endpoint?: string
  readonly fault: Fault
  /** Default 1. */
  readonly times?: number
  /** Matching requests that pass first. */
  readonly skip?: number
  readonly when?: (arrival: Arrival) => boolean
}

export class Faults {
  #rules: {readonly rule: FaultRule; skip: number; times: number}[] = []

  inject(rule: FaultRule): void {
    this.#rules.push({rule, skip: rule.skip ?? 0, times: rule.times ?? 1})
  }

  clear(): void {
    this.#rules = []
  }

  next(endpoint: string, arrival: Arrival): Fault | undefined {
    for (const entry of this.#rules) {
      const {rule} = entry
      if (rule.endpoint !== undefined && rule.endpoint !== endpoint) continue
      if (entry.times === 0 || rule.when?.(arrival) === false) continue
      if (entry.skip-- > 0) continue
      entry.times--
      return rule.fault
    }
    return undefined
  }
}

/** The three shapes in which the vendor says "too often". */
export const TOO_OFTEN = {
  text: {status: 429, body: 'API requests too frequent'},
  threshold: {status: 429, body: 'API requests too frequent: endpoint threshold=2.5'},
  detail: {status: 429, body: {detail: 'API requests too frequent endpoint threshold=2.0'}},
  json: {
    status: 429,
    body: {success: false, error: 'rate_limit', msg: 'API requests too frequent'},
  },
} satisfies Record<string, Reply>

export const BROKEN = {
  internal: {status: 500, body: {success: false, error: 'internal_error', msg: 'oops'}},
  gateway: {
    status: 502,
    body: '<html><title>502 Bad Gateway</title></html>',
    headers: {'content-type': 'text/html'},
  },
  unavailable: {status: 503, body: 'upstream connect error'},
  timeout: {status: 504, body: '<html>504 Gateway Time-out</html>'},
  html: {
    status: 200,
    body: '<html>Please enable JavaScript</html>',
    headers: {'content-type': 'text/html'},
  },
  moved: {status: 308, body: '', headers: {location: 'https://console.example.test/api/v0/'}},
} satisfies Record<string, Reply>
