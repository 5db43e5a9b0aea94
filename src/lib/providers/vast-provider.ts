import {type DestroyProof, proves} from './destroy-proof.js'
import {redact} from './http.js'
import {isInstanceId} from './instance-address.js'
import {isProviderError, ProviderError} from './provider-error.js'
import type {
  Capabilities,
  CreateRequest,
  Instance,
  Offer,
  Provider,
  SearchOptions,
  Spec,
} from './provider.js'
import {vastCreateBody} from './vast-create.js'
import {type VastAnswer, type VastCall, VastHttp, type VastHttpOptions} from './vast-http.js'
import {getVast, listVast} from './vast-instances.js'
import {vastOffers, vastQuery} from './vast-offers.js'
import {vastResult} from './vast-result.js'
import {vastValues} from './vast-values.js'

const DESTROY_TRIES = 6
const MOST_COMMAND = 512
const MOST_LINES = 5000
const PUBLIC_KEY = /^(?:ssh|ecdsa|sk)-[\w@.-]+ [A-Za-z0-9+/]{16,}={0,3}(?: [^\r\n]*)?$/u

/**
 * An account at vast.ai. The vendor may not show an instance for some seconds after creating it; `get` tells what it
 * is told, so `gone` right after `create` means "ask again". Keys come in through `attachKey`, after `create`.
 */
export class VastProvider implements Required<Provider> {
  readonly name = 'vast'
  readonly capabilities: Capabilities = {
    search: true,
    create: true,
    stop: true,
    stopWipes: false,
    destroy: true,
    spot: true,
    labels: true,
    attachKey: true,
    logs: true,
  }
  readonly #options: VastHttpOptions
  readonly #http: VastHttp

  constructor(options: VastHttpOptions) {
    this.#options = options
    this.#http = new VastHttp(options)
  }

  async whoami(signal?: AbortSignal) {
    const {balance, credit, id} = await this.#http.call(
      {endpoint: 'whoami', method: 'GET', operation: 'whoami', path: '/api/v0/users/current/'},
      signal,
    )
    if (!Number.isSafeInteger(id)) throw failure('whoami', 'PROTOCOL', 'an account without an id')
    // The vendor's own pages disagree on the name.
    const creditUSD = [credit, balance].find((amount) => typeof amount === 'number')
    return {account: String(id), ...(creditUSD !== undefined && {creditUSD})}
  }

  list(filter?: {readonly label?: string}, signal?: AbortSignal): Promise<readonly Instance[]> {
    return listVast(this.#http, filter, signal)
  }

  async get(id: string, signal?: AbortSignal): Promise<Instance> {
    return getVast(this.#http, checkedId(id, 'get'), signal)
  }

  async values(id: string, signal?: AbortSignal): Promise<Readonly<Record<string, string>>> {
    return vastValues(this.#http, checkedId(id, 'values'), signal)
  }

  async search(
    spec: Spec,
    options?: SearchOptions,
    signal?: AbortSignal,
  ): Promise<readonly Offer[]> {
    const {offers} = await this.#http.call(
      {
        endpoint: 'search',
        method: 'POST',
        operation: 'search',
        path: '/api/v0/bundles/',
        body: vastQuery(spec, options),
      },
      signal,
    )
    if (typeof offers !== 'object' || offers === null)
      throw failure('search', 'PROTOCOL', 'no offers came')
    return vastOffers(offers, spec, options)
  }

  async create({id: offer}: Offer, request: CreateRequest, signal?: AbortSignal) {
    const body = vastCreateBody(request)
    const path = `/api/v0/asks/${checkedId(offer, 'create')}/`
    const {new_contract: id} = await this.#http.call(
      {endpoint: 'create', method: 'PUT', operation: 'create', path, body, tries: 1},
      signal,
    )
    if (!Number.isSafeInteger(id)) throw failure('create', 'AMBIGUOUS', 'success without an id')
    return {id: String(id)}
  }

  async attachKey(id: string, publicKey: string, signal?: AbortSignal): Promise<void> {
    const key = publicKey.trim()
    if (!PUBLIC_KEY.test(key))
      throw failure('attachKey', 'INVALID', 'this is no public key in one line')
    const path = `/api/v0/instances/${checkedId(id, 'attachKey')}/ssh/`
    await this.#http
      .call(
        {endpoint: 'attach', method: 'POST', operation: 'attachKey', path, body: {ssh_key: key}},
        signal,
      )
      .catch((error: unknown) => {
        if (!isThere(error)) throw error
      })
  }

  async start(id: string, signal?: AbortSignal): Promise<void> {
    await this.#change(
      id,
      {endpoint: 'manage', method: 'PUT', operation: 'start', body: {state: 'running'}},
      signal,
    )
  }

  /** The disk stays, and is billed in full: so no proof is needed. */
  async stop(id: string, _proof: DestroyProof | undefined, signal?: AbortSignal): Promise<void> {
    await this.#change(
      id,
      {endpoint: 'manage', method: 'PUT', operation: 'stop', body: {state: 'stopped'}},
      signal,
    )
  }

  async destroy(id: string, proof: DestroyProof, signal?: AbortSignal): Promise<void> {
    // Asked again before each attempt: one that waited long may rest on a proof that no longer holds.
    const allow = () => {
      if (!proves(proof, {id, provider: this.name}, this.#options.clock.now()))
        throw failure('destroy', 'UNPROVEN', 'nothing proves that it may go')
    }
    allow()
    await this.#change(
      id,
      {
        endpoint: 'destroy',
        method: 'DELETE',
        operation: 'destroy',
        body: {},
        tries: DESTROY_TRIES,
        allow,
      },
      signal,
    ).catch((error: unknown) => {
      if (!isProviderError(error) || error.failure !== 'NOT_FOUND') throw error
    })
  }

  async logs(id: string, lines: number, signal?: AbortSignal): Promise<string> {
    const path = `/api/v0/instances/request_logs/${checkedId(id, 'logs')}/`
    const tail = Math.min(Math.max(1, Math.trunc(lines)), MOST_LINES)
    const text = await this.#result('logs', path, {tail: String(tail)}, signal)
    const last = text.trimEnd().split('\n').slice(-tail)
    return last.map((line) => redact(line, this.#http.secrets, 2000)).join('\n')
  }

  /** Works on a stopped instance too; the vendor lets only `ls`, `rm` and `du` through. */
  async execute(id: string, command: string, signal?: AbortSignal): Promise<string> {
    const path = `/api/v0/instances/command/${checkedId(id, 'execute')}/`
    if (command === '' || command.length > MOST_COMMAND)
      throw failure('execute', 'INVALID', `a command has 1 to ${MOST_COMMAND} letters`)
    const text = await this.#result('execute', path, {command}, signal)
    return text.replaceAll(this.#options.key, '…')
  }

  async #change(
    id: string,
    call: Omit<VastCall, 'path'>,
    signal?: AbortSignal,
  ): Promise<VastAnswer> {
    const path = `/api/v0/instances/${checkedId(id, call.operation)}/`
    return this.#http.call({...call, path}, signal)
  }

  async #result(
    operation: 'execute' | 'logs',
    path: string,
    body: unknown,
    signal?: AbortSignal,
  ): Promise<string> {
    const call = {endpoint: operation, method: 'PUT', operation, path, body} as const
    const {result_url: resultUrl} = await this.#http.call(call, signal)
    const {base} = this.#options
    const {secrets} = this.#http
    return vastResult({operation, resultUrl, base, secrets}, this.#options, signal)
  }
}

/** Attaching a key twice is refused in words alone. */
function isThere(error: unknown): boolean {
  return (
    isProviderError(error) &&
    error.failure === 'INVALID' &&
    /duplicate|already/iu.test(error.message)
  )
}

/** An id becomes part of a path. */
function checkedId(id: string, operation: string): string {
  if (isInstanceId('vast', id)) return id
  throw failure(operation, 'INVALID', 'this is not an id')
}

function failure(operation: string, what: ProviderError['failure'], message: string) {
  return new ProviderError(what, {provider: 'vast', operation}, message)
}
