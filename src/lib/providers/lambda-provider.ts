import * as v from 'valibot'
import {accountFingerprint} from './account-fingerprint.js'
import type {DestroyProof} from './destroy-proof.js'
import {goneInstance} from './gone-instance.js'
import {lambdaFailure} from './lambda-failure.js'
import {instanceSchema, lambdaInstance} from './lambda-instance.js'
import {registeredKeyName} from './lambda-keys.js'
import {catalogSchema, lambdaOffers, parsePlace} from './lambda-offers.js'
import type {
  Capabilities,
  CreateRequest,
  Instance,
  Offer,
  Provider,
  SearchOptions,
  Spec,
} from './provider.js'
import {requireProof} from './require-proof.js'
import {told} from './told.js'
import {VendorApi, type VendorApiOptions} from './vendor-api.js'

const NAME = 'lambda' as const
/** The vendor allows a request each second and a launch each twelve; a little more, since clocks and lines differ. */
const RULES = {
  provider: NAME,
  base: 'https://cloud.lambda.ai',
  spacingMs: 1100,
  launchSpacingMs: 12_500,
  failureOf: lambdaFailure,
}
const DESTROY_TRIES = 6
const MOST_PAGES = 200
const LONGEST_LABEL = 64

const one = v.object({data: instanceSchema})
const page = v.object({data: v.array(instanceSchema), page_token: told.text})
const launched = v.object({
  data: v.object({
    instance_ids: v.strictTuple([v.pipe(v.string(), v.regex(/^[0-9a-z][0-9a-z-]{3,63}$/u))]),
  }),
})
const terminated = v.object({
  data: v.object({terminated_instances: v.array(v.object({id: v.string()}))}),
})

/**
 * An account at Lambda: virtual machines that are either running or gone. Nothing says which account a key belongs to, or when
 * an instance was made. `gone` right after `create` means "ask again".
 */
export class LambdaProvider implements Provider {
  readonly name = NAME
  readonly capabilities: Capabilities = {
    search: true,
    create: true,
    stop: false,
    stopWipes: false,
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

  async whoami(signal?: AbortSignal) {
    const path = '/api/v1/ssh-keys'
    const schema = v.object({data: v.array(v.unknown())})
    await this.#api.call({operation: 'whoami', method: 'GET', path, schema}, signal)
    return {account: accountFingerprint(this.#options.apiKey)}
  }

  /** Follows pages, should the vendor have them. */
  async list({label}: {readonly label?: string} = {}, signal?: AbortSignal) {
    const operation = 'list'
    const found: Instance[] = []
    let token: string | undefined
    for (let pages = 0; pages < MOST_PAGES; pages++) {
      const query = {...(token !== undefined && {page_token: token})}
      const path = '/api/v1/instances'
      const {data, page_token: next} = await this.#api.call(
        {operation, method: 'GET', path, query, schema: page},
        signal,
      )
      found.push(...data.map(lambdaInstance))
      if (!next) return found.filter((other) => label === undefined || other.label === label)
      if (next === token) break
      token = next
    }
    throw this.#api.failure(operation, 'PROTOCOL', 'the list does not end')
  }

  async get(id: string, signal?: AbortSignal): Promise<Instance> {
    const operation = 'get'
    const path = `/api/v1/instances/${this.#api.checkedId(id, operation)}`
    const found = await this.#api.callIfThere({operation, method: 'GET', path, schema: one}, signal)
    if (!found) return goneInstance(id)
    if (found.data.id !== id)
      throw this.#api.failure(operation, 'PROTOCOL', 'another instance was told')
    return lambdaInstance(found.data)
  }

  async search(
    spec: Spec,
    options?: SearchOptions,
    signal?: AbortSignal,
  ): Promise<readonly Offer[]> {
    const operation = 'search'
    if (spec.market.kind === 'spot')
      throw this.#api.failure(operation, 'INVALID', 'machines are rented on demand only')
    const path = '/api/v1/instance-types'
    const catalog = await this.#api.call(
      {operation, method: 'GET', path, schema: catalogSchema},
      signal,
    )
    return lambdaOffers(catalog, spec, options)
  }

  async create(offer: Offer, request: CreateRequest, signal?: AbortSignal) {
    const operation = 'create'
    const place = parsePlace(offer.id)
    const [firstKey, ...otherKeys] = request.publicKeys
    const mistake = place ? mistakeIn(request) : 'the offer is of another vendor'
    if (!place || firstKey === undefined || mistake !== undefined)
      throw this.#api.failure(operation, 'INVALID', mistake ?? 'a machine needs an SSH key')
    const userData = cloudConfig(otherKeys, request.onstart)
    const body = {
      region_name: place.region,
      instance_type_name: place.type,
      ssh_key_names: [await registeredKeyName(this.#api, firstKey, signal)],
      name: request.label,
      ...(userData !== undefined && {user_data: userData}),
    }
    const path = '/api/v1/instance-operations/launch'
    const {data} = await this.#api.call(
      {operation, method: 'POST', path, body, schema: launched, once: true},
      signal,
    )
    return {id: data.instance_ids[0]}
  }

  async destroy(id: string, proof: DestroyProof, signal?: AbortSignal): Promise<void> {
    const operation = 'destroy'
    const body = {instance_ids: [this.#api.checkedId(id, operation)]}
    const path = '/api/v1/instance-operations/terminate'
    const allow = () => requireProof(proof, {provider: NAME, id, operation}, this.#options.clock)
    const done = await this.#api.callIfThere(
      {operation, method: 'POST', path, body, schema: terminated, tries: DESTROY_TRIES, allow},
      signal,
    )
    if (done && !done.data.terminated_instances.some((other) => other.id === id))
      throw this.#api.failure(operation, 'PROTOCOL', `${id} is not among what was terminated`)
  }
}

function mistakeIn({env, label}: CreateRequest): string | undefined {
  if (label.length > LONGEST_LABEL) return `a name has at most ${LONGEST_LABEL} characters`
  return Object.keys(env).length > 0 ? 'machines take no environment values' : undefined
}

/** The vendor installs one key; others, and a start script, go in by cloud-init. JSON is YAML. */
function cloudConfig(keys: readonly string[], onstart: string | undefined): string | undefined {
  if (keys.length === 0 && onstart === undefined) return undefined
  const config = {
    ...(keys.length > 0 && {ssh_authorized_keys: keys}),
    ...(onstart !== undefined && {runcmd: [['/bin/bash', '-c', onstart]]}),
  }
  return `#cloud-config\n${JSON.stringify(config)}\n`
}
