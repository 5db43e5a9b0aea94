import type {Clock} from '../clock.js'
import {type HttpCall, type HttpOptions, type HttpReply, sendRequest} from './http.js'
import {isProviderError, ProviderError, type ProviderFailure} from './provider-error.js'
import {thresholdMs, vastFailure, type VastOperation} from './vast-failure.js'
import {type VastEndpoint, VastSpacing} from './vast-spacing.js'

export interface VastHttpOptions extends HttpOptions {
  readonly key: string
  /** As `vastBase` returns it. */
  readonly base: URL
  readonly clock: Clock
  /** In [0, 1); spreads retries. */
  readonly random?: () => number
}

export interface VastCall {
  readonly endpoint: VastEndpoint
  readonly operation: string
  readonly method: HttpCall['method']
  /** Begins with `/api/` and ends with a slash, as the vendor wants it. */
  readonly path: string
  /** Strings go as they are, everything else as JSON. */
  readonly query?: Readonly<Record<string, unknown>>
  readonly body?: unknown
  /** Sent at most so often; 1 also means that a lost answer is AMBIGUOUS. */
  readonly tries?: number
  /** Runs right before each request leaves; what it throws keeps the request from leaving. */
  readonly allow?: () => void
}

export type VastAnswer = Readonly<Record<string, unknown>>

const PENALTY_MS = 12_000
const PASSING: ReadonlySet<ProviderFailure> = new Set(['PROTOCOL', 'RATE_LIMITED', 'TRANSPORT'])

/** Requests to one account: spaced, repeated where that is harmless, and silent about the key. */
export class VastHttp {
  readonly secrets: readonly string[]
  readonly #options: VastHttpOptions
  readonly #spacing: VastSpacing

  constructor(options: VastHttpOptions) {
    this.#options = options
    this.#spacing = new VastSpacing(options.clock)
    this.secrets = [options.key]
  }

  /** The answer of a success; else a ProviderError. */
  async call(call: VastCall, signal?: AbortSignal): Promise<VastAnswer> {
    const tries = call.tries ?? 4
    for (let attempt = 1; ; attempt++) {
      const result = await this.#spacing.turn(
        call.endpoint,
        () => this.#attempt(call, attempt, signal),
        signal,
      )
      if (!isProviderError(result)) return result
      if (attempt >= tries || !PASSING.has(result.failure)) throw result
    }
  }

  /** One request; a failure is returned, and keeps the endpoint closed for a while when waiting may help. */
  async #attempt(
    call: VastCall,
    attempt: number,
    signal?: AbortSignal,
  ): Promise<ProviderError | VastAnswer> {
    call.allow?.()
    const operation = this.#operation(call)
    const reply = await this.#send(call, operation, signal)
    const failure = isProviderError(reply) ? reply : vastFailure(reply, operation)
    if (!failure) return (reply as HttpReply).json as VastAnswer
    if (PASSING.has(failure.failure)) this.#backOff(call, attempt, reply, failure)
    return failure
  }

  async #send(
    call: VastCall,
    operation: VastOperation,
    signal?: AbortSignal,
  ): Promise<HttpReply | ProviderError> {
    try {
      return await sendRequest(
        {
          ...operation,
          method: call.method,
          url: this.#url(call),
          headers: {authorization: `Bearer ${this.#options.key}`},
          body: call.body,
        },
        this.#options,
        signal,
      )
    } catch (error) {
      if (isProviderError(error)) return error
      // Interrupted with the request on its way: whether it was done is as open as with any lost answer.
      if (operation.once === true)
        return new ProviderError('AMBIGUOUS', operation, 'interrupted', {cause: error})
      throw error
    }
  }

  #operation({endpoint, operation, tries}: VastCall): VastOperation {
    return {provider: 'vast', endpoint, operation, once: tries === 1, secrets: this.secrets}
  }

  #url({path, query = {}}: VastCall): URL {
    const url = new URL(this.#options.base.href.replace(/\/$/u, '') + path)
    for (const [name, value] of Object.entries(query))
      url.searchParams.set(name, typeof value === 'string' ? value : JSON.stringify(value))
    return url
  }

  #backOff(
    {endpoint}: VastCall,
    attempt: number,
    reply: HttpReply | ProviderError,
    {failure}: ProviderError,
  ): void {
    const limited = failure === 'RATE_LIMITED' && !isProviderError(reply)
    const asked = limited ? Math.max(thresholdMs(reply), endpoint === 'create' ? PENALTY_MS : 0) : 0
    const jitter = (this.#options.random ?? Math.random)() * 500
    this.#spacing.defer(endpoint, Math.max(asked, 1000 * 2 ** attempt) + jitter)
  }
}
