import * as v from 'valibot'
import {accountFingerprint} from './account-fingerprint.js'
import type {DestroyProof} from './destroy-proof.js'
import {goneInstance} from './gone-instance.js'
import type {
  Capabilities,
  CreateRequest,
  Instance,
  Offer,
  Provider,
  SearchOptions,
  Spec,
} from './provider.js'
import {isProviderError} from './provider-error.js'
import {requireProof} from './require-proof.js'
import {podRequest} from './runpod-create.js'
import {runpodFailure} from './runpod-failure.js'
import {withAccountKeys} from './runpod-keys.js'
import {catalogSchema, cloudOf, leastCuda, parsePlace, runpodOffers} from './runpod-offers.js'
import {podInstance, podSchema, podValues} from './runpod-pod.js'
import {told} from './told.js'
import {VendorApi, type VendorApiOptions} from './vendor-api.js'

const NAME = 'runpod' as const
/** The vendor allows 60 requests a minute. */
const RULES = {
  provider: NAME,
  base: 'https://api.runpod.io',
  spacingMs: 1000,
  launchSpacingMs: 2000,
  failureOf: runpodFailure,
}
const DESTROY_TRIES = 6
const REFUSED: ReadonlySet<string> = new Set(['AUTH', 'INVALID', 'NOT_FOUND', 'SCOPE'])

const podList = v.object({pods: v.array(podSchema)})
const created = v.object({id: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9_-]{3,63}$/u))})
const account = v.union([
  v.object({
    data: v.object({
      myself: v.object({id: v.pipe(v.string(), v.minLength(1)), clientBalance: told.number}),
    }),
  }),
  v.object({errors: v.array(v.unknown())}),
])

/**
 * An account at RunPod, by version 2 of its interface. Stopping a pod wipes everything outside its volume, so it needs proof like
 * destroying. Only direct SSH counts as a way in. `gone` right after `create` means "ask again".
 */
export class RunpodProvider implements Provider {
  readonly name = NAME
  readonly capabilities: Capabilities = {
    search: true,
    create: true,
    stop: true,
    stopWipes: true,
    destroy: true,
    spot: false,
    labels: true,
    attachKey: false,
    logs: false,
  }
  readonly #options: VendorApiOptions
  readonly #api: VendorApi

  constructor(options: VendorApiOptions) {
    this.#options = options
    this.#api = new VendorApi(RULES, options)
  }

  /** Keys that are limited to the REST interface cannot ask who they are: then the account goes by the key. */
  async whoami(signal?: AbortSignal) {
    const operation = 'whoami'
    const body = {query: '{ myself { id clientBalance } }'}
    try {
      const answer = await this.#api.call(
        {operation, method: 'POST', path: '/graphql', body, schema: account},
        signal,
      )
      if ('data' in answer) {
        const {clientBalance: creditUSD, id} = answer.data.myself
        return {account: id, ...(creditUSD !== undefined && {creditUSD})}
      }
    } catch (error) {
      if (!isProviderError(error) || !REFUSED.has(error.failure)) throw error
    }
    await this.#pods(operation, signal)
    return {account: accountFingerprint(this.#options.apiKey)}
  }

  async list({label}: {readonly label?: string} = {}, signal?: AbortSignal) {
    const pods = await this.#pods('list', signal)
    return pods.map(podInstance).filter((pod) => label === undefined || pod.label === label)
  }

  async get(id: string, signal?: AbortSignal): Promise<Instance> {
    const operation = 'get'
    const path = `/v2/pods/${this.#api.checkedId(id, operation)}`
    const pod = await this.#api.callIfThere(
      {operation, method: 'GET', path, schema: podSchema},
      signal,
    )
    if (!pod) return goneInstance(id)
    if (pod.id !== id) throw this.#api.failure(operation, 'PROTOCOL', 'another pod was told')
    return podInstance(pod)
  }

  async values(id: string, signal?: AbortSignal): Promise<Readonly<Record<string, string>>> {
    const operation = 'values'
    const path = `/v2/pods/${this.#api.checkedId(id, operation)}`
    return this.#api.call({operation, method: 'GET', path, schema: podValues}, signal)
  }

  async search(
    spec: Spec,
    options?: SearchOptions,
    signal?: AbortSignal,
  ): Promise<readonly Offer[]> {
    const operation = 'search'
    if (spec.market.kind === 'spot')
      throw this.#api.failure(operation, 'INVALID', 'pods are rented on demand only')
    const cuda = leastCuda(spec)
    const query = {
      include: 'AVAILABILITY',
      product: 'POD',
      count: String(spec.gpuCount),
      cloud: cloudOf(spec),
      ...(cuda !== undefined && {minCudaVersion: cuda}),
    }
    const path = '/v2/catalog/gpus'
    const catalog = await this.#api.call(
      {operation, method: 'GET', path, query, schema: catalogSchema},
      signal,
    )
    return runpodOffers(catalog, spec, options)
  }

  async create(offer: Offer, request: CreateRequest, signal?: AbortSignal) {
    const operation = 'create'
    const place = parsePlace(offer.id)
    if (!place) throw this.#api.failure(operation, 'INVALID', 'the offer is of another vendor')
    if (request.onstart !== undefined)
      throw this.#api.failure(operation, 'INVALID', 'pods take no start script')
    if (request.spec.image === undefined && request.spec.templateId === undefined)
      throw this.#api.failure(operation, 'INVALID', 'a pod needs an image')
    const keys = await withAccountKeys(this.#api, request.publicKeys, signal)
    const body = podRequest(place, request, keys)
    const path = '/v2/pods'
    // Words too short for a secret would only blot out the message.
    const secrets = Object.values(request.env).filter((value) => value.length >= 6)
    return this.#api.call(
      {operation, method: 'POST', path, body, schema: created, once: true, secrets},
      signal,
    )
  }

  async start(id: string, signal?: AbortSignal): Promise<void> {
    await this.#act('start', id, undefined, signal)
  }

  async stop(id: string, proof: DestroyProof | undefined, signal?: AbortSignal): Promise<void> {
    await this.#act('stop', id, () => this.#require(proof, id, 'stop'), signal)
  }

  async destroy(id: string, proof: DestroyProof, signal?: AbortSignal): Promise<void> {
    const operation = 'destroy'
    const path = `/v2/pods/${this.#api.checkedId(id, operation)}`
    const allow = () => this.#require(proof, id, operation)
    await this.#api.callIfThere(
      {operation, method: 'DELETE', path, schema: v.unknown(), tries: DESTROY_TRIES, allow},
      signal,
    )
  }

  async #pods(operation: string, signal?: AbortSignal) {
    const query = {includeClusterPods: 'true'}
    const path = '/v2/pods'
    const {pods} = await this.#api.call(
      {operation, method: 'GET', path, query, schema: podList},
      signal,
    )
    return pods
  }

  async #act(
    action: 'start' | 'stop',
    id: string,
    allow: (() => void) | undefined,
    signal?: AbortSignal,
  ): Promise<void> {
    const path = `/v2/pods/${this.#api.checkedId(id, action)}/action`
    await this.#api.call(
      {
        operation: action,
        method: 'POST',
        path,
        body: {action},
        schema: v.unknown(),
        ...(allow && {allow}),
      },
      signal,
    )
  }

  #require(proof: DestroyProof | undefined, id: string, operation: string): void {
    requireProof(proof, {provider: NAME, id, operation}, this.#options.clock)
  }
}
