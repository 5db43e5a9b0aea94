import * as v from 'valibot'
import type {Clock} from '../clock.js'
import {type HttpCall, type HttpOptions, type HttpReply, redact, sendRequest} from './http.js'
import {isInstanceId, type ProviderName} from './instance-address.js'
import {isProviderError, ProviderError, type ProviderFailure} from './provider-error.js'

export interface VendorApiOptions extends HttpOptions {
  readonly apiKey: string
  /** Takes the place of the vendor's own address. */
  readonly base?: URL
  readonly clock: Clock
  /** In [0, 1); spreads retries. */
  readonly random?: () => number
}

/** What one vendor's interface has of its own. */
export interface VendorRules {
  readonly provider: ProviderName
  readonly base: string
  /** Milliseconds between two requests. */
  readonly spacingMs: number
  /** Milliseconds between two that rent. */
  readonly launchSpacingMs: number
  /** What an answer that is no success means, in the vendor's words. */
  readonly failureOf: (reply: HttpReply) => {
    readonly failure: ProviderFailure
    readonly said: string
  }
}

export interface ApiCall<S extends v.GenericSchema> {
  readonly operation: string
  readonly method: HttpCall['method']
  /** Begins with a slash; ids in it are checked already. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: unknown
  /** Of a success's body. */
  readonly schema: S
  /** Rents: not sent again unless the vendor refused to look at it, and a lost answer is AMBIGUOUS. */
  readonly once?: boolean
  readonly tries?: number
  /** Runs right before each request leaves; what it throws keeps the request from leaving. */
  readonly allow?: () => void
  /** What else of the request must not be told again. */
  readonly secrets?: readonly string[]
}

const PASSING: ReadonlySet<ProviderFailure> = new Set(['PROTOCOL', 'RATE_LIMITED', 'TRANSPORT'])
const LONGEST_WAIT_MS = 60_000

/** Requests to one account: spaced, repeated where that is harmless, checked, and silent about the key. */
export class VendorApi {
  readonly secrets: readonly string[]
  readonly #rules: VendorRules
  readonly #options: VendorApiOptions
  readonly #base: string
  #free = 0
  #launchFree = 0

  constructor(rules: VendorRules, options: VendorApiOptions) {
    this.#rules = rules
    this.#options = options
    this.#base = (options.base?.href ?? rules.base).replace(/\/$/u, '')
    this.secrets = [options.apiKey]
  }

  /** The checked body of a success; else a ProviderError, or the signal's reason. */
  async call<S extends v.GenericSchema>(
    call: ApiCall<S>,
    signal?: AbortSignal,
  ): Promise<v.InferOutput<S>> {
    const {tries = 4} = call
    for (let attempt = 1; ; attempt++) {
      await this.#turn(call.once === true, signal)
      try {
        return await this.#attempt(call, signal)
      } catch (error) {
        if (!isProviderError(error) || attempt >= tries || !PASSING.has(error.failure)) throw error
        await this.#options.clock.sleep(this.#waitAfter(error, attempt), signal)
      }
    }
  }

  /** The same, or undefined where the vendor knows no such thing. */
  async callIfThere<S extends v.GenericSchema>(
    call: ApiCall<S>,
    signal?: AbortSignal,
  ): Promise<v.InferOutput<S> | undefined> {
    try {
      return await this.call(call, signal)
    } catch (error) {
      if (isProviderError(error) && error.failure === 'NOT_FOUND') return undefined
      throw error
    }
  }

  /** The id, fit to stand in a path. */
  checkedId(id: string, operation: string): string {
    if (isInstanceId(this.#rules.provider, id)) return id
    throw this.failure(operation, 'INVALID', 'this is not the id of an instance')
  }

  failure(operation: string, failure: ProviderFailure, said: string): ProviderError {
    const {provider} = this.#rules
    return new ProviderError(failure, {provider, operation}, redact(said, this.secrets))
  }

  /** Takes the next free moment, so that parallel requests keep their distance as well. */
  async #turn(launches: boolean, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const now = this.#options.clock.now()
    const at = Math.max(now, this.#free, launches ? this.#launchFree : 0)
    this.#free = at + this.#rules.spacingMs
    if (launches) this.#launchFree = at + this.#rules.launchSpacingMs
    if (at > now) await this.#options.clock.sleep(at - now, signal)
  }

  async #attempt<S extends v.GenericSchema>(
    call: ApiCall<S>,
    signal?: AbortSignal,
  ): Promise<v.InferOutput<S>> {
    call.allow?.()
    const reply = await this.#send(call, signal)
    if (reply.status < 200 || reply.status > 299) throw this.#refusal(call, reply)
    const body = v.safeParse(call.schema, reply.json)
    // A page of some proxy is no answer, not even where nothing of the answer is needed.
    if (body.success && (reply.json !== undefined || reply.status === 204)) return body.output
    const failure = call.once === true ? 'AMBIGUOUS' : 'PROTOCOL'
    throw this.failure(call.operation, failure, 'an answer that is none of the known ones')
  }

  async #send<S extends v.GenericSchema>(
    call: ApiCall<S>,
    signal?: AbortSignal,
  ): Promise<HttpReply> {
    const {body, method, once = false, operation, path, query = {}, secrets = []} = call
    const url = new URL(this.#base + path)
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    const headers = {authorization: `Bearer ${this.#options.apiKey}`}
    const where = {
      provider: this.#rules.provider,
      operation,
      secrets: [...this.secrets, ...secrets],
    }
    try {
      return await sendRequest({...where, method, url, headers, body, once}, this.#options, signal)
    } catch (error) {
      // Interrupted with the request on its way: whether it was done is as open as with any lost answer.
      if (once && !isProviderError(error))
        throw new ProviderError('AMBIGUOUS', where, 'interrupted', {cause: error})
      throw error
    }
  }

  #refusal<S extends v.GenericSchema>(
    {once, operation, secrets = []}: ApiCall<S>,
    reply: HttpReply,
  ): ProviderError {
    const {failure, said} = this.#rules.failureOf(reply)
    const isOpen = once === true && (failure === 'TRANSPORT' || failure === 'PROTOCOL')
    return new ProviderError(
      isOpen ? 'AMBIGUOUS' : failure,
      {provider: this.#rules.provider, operation},
      `status ${reply.status}: ${redact(said, [...this.secrets, ...secrets])}`,
      {status: reply.status, cause: retryAfterMs(reply)},
    )
  }

  #waitAfter({cause}: ProviderError, attempt: number): number {
    const asked = typeof cause === 'number' ? cause : 0
    const jitter = (this.#options.random ?? Math.random)() * 500
    return Math.min(LONGEST_WAIT_MS, Math.max(asked, 1000 * 2 ** attempt)) + jitter
  }
}

function retryAfterMs({headers}: HttpReply): number | undefined {
  const seconds = headers.get('retry-after') ?? ''
  return /^\d{1,6}$/u.test(seconds) ? Number(seconds) * 1000 : undefined
}
