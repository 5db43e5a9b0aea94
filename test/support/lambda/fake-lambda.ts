import type {Clock} from '../../../src/lib/clock.js'
import {FakeVendor, fieldsOf, type Handling} from '../fake-vendor.js'
import type {Arrival, Fields, Reply} from '../vast/reply.js'

export const LAMBDA_KEY = 'secret_lambda_0123456789.abcdef'
export const TYPE = 'gpu_1x_h100_sxm5'

/** How an instance behaves. */
export interface InstanceScript {
  /** Not found for so long after its launch. */
  readonly hiddenMs?: number
  /** Active after so long; default 200 s. */
  readonly bootMs?: number
  /** In place of active. */
  readonly ends?: string
  /** The address comes so long after active; default 0. */
  readonly addressMs?: number
  /** Terminating for so long; default 30 s; terminated for a minute more, then forgotten. */
  readonly endMs?: number
  readonly fields?: Fields
}

export interface FakeInstance {
  readonly id: string
  readonly body: Fields
  readonly launchedAt: number
  script: InstanceScript
  endedAt: number | undefined
}

/** Lambda's interface, with its limits of one request a second and one launch in twelve. */
export class FakeLambda {
  readonly instances = new Map<string, FakeInstance>()
  keys: Fields[] = [{id: 'k1', name: 'laptop', public_key: 'ssh-ed25519 AAAAold someone@old'}]
  types: Readonly<Record<string, Fields>> = {[TYPE]: typeEntry()}
  /** Of the next instance. */
  script: InstanceScript = {}
  /** Said in place of launching. */
  refusal: Reply | undefined
  /** Instances on a page; undefined: no pages. */
  pageSize: number | undefined
  /** Requests that came too early. */
  hasty = 0
  readonly server: FakeVendor
  #ids = 0
  #last = Number.NEGATIVE_INFINITY
  #lastLaunch = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.server = new FakeVendor(clock, (arrival) => this.#handle(arrival))
  }

  static async start(clock: Clock): Promise<FakeLambda> {
    const fake = new FakeLambda(clock)
    await fake.server.listen()
    return fake
  }

  /** What is there and costs. */
  get alive(): readonly FakeInstance[] {
    return [...this.instances.values()].filter(({endedAt}) => endedAt === undefined)
  }

  add(body: Fields = {}, script: InstanceScript = {}): FakeInstance {
    const instance: FakeInstance = {
      id: (++this.#ids).toString(16).padStart(32, '0'),
      body: {region_name: 'us-east-1', instance_type_name: TYPE, name: 'box', ...body},
      launchedAt: this.server.clock.now(),
      script,
      endedAt: undefined,
    }
    this.instances.set(instance.id, instance)
    return instance
  }

  #handle(arrival: Arrival): Handling {
    const [endpoint, work] = this.#route(arrival)
    return {endpoint, work: () => this.#refusal(arrival, endpoint) ?? work()}
  }

  #refusal({at, headers, text, body}: Arrival, endpoint: string): Reply | undefined {
    if (headers['authorization'] !== `Bearer ${LAMBDA_KEY}`)
      return refused(401, 'global/invalid-api-key', 'API key was invalid, expired, or deleted.')
    const isHasty =
      at - this.#last < 1000 || (endpoint === 'create' && at - this.#lastLaunch < 12_000)
    this.#last = at
    if (endpoint === 'create') this.#lastLaunch = at
    if (isHasty) this.hasty++
    if (isHasty) return {status: 429, body: 'Too Many Requests'}
    if (text !== '' && (body === undefined || headers['content-type'] !== 'application/json'))
      return refused(400, 'global/invalid-parameters', 'no JSON')
    return undefined
  }

  #route({body, method, path, query}: Arrival): readonly [string, () => Reply] {
    const id = /^\/api\/v1\/instances\/([^/]+)$/u.exec(path)?.[1] ?? ''
    const routes: Readonly<Record<string, readonly [string, () => Reply]>> = {
      'GET /api/v1/instances': ['list', () => this.#list(query)],
      'GET /api/v1/instances/ID': ['get', () => this.#get(id)],
      'GET /api/v1/instance-types': ['search', () => ok(this.types)],
      'POST /api/v1/instance-operations/launch': ['create', () => this.#launch(fieldsOf(body))],
      'POST /api/v1/instance-operations/terminate': [
        'destroy',
        () => this.#terminate(fieldsOf(body)),
      ],
      'GET /api/v1/ssh-keys': ['keys', () => ok(this.keys)],
      'POST /api/v1/ssh-keys': ['add-key', () => this.#addKey(fieldsOf(body))],
    }
    const asked = `${method} ${id === '' ? path : '/api/v1/instances/ID'}`
    return routes[asked] ?? ['unknown', () => ({status: 404, body: '<html>not here</html>'})]
  }

  #list(query: URLSearchParams): Reply {
    const all = [...this.instances.values()]
      .filter((one) => this.#isTold(one))
      .map((one) => this.#told(one))
    if (this.pageSize === undefined) return ok(all)
    const start = Number(query.get('page_token') ?? 0)
    const end = start + this.pageSize
    return {
      status: 200,
      body: {data: all.slice(start, end), ...(end < all.length && {page_token: String(end)})},
    }
  }

  #get(id: string): Reply {
    const instance = this.instances.get(id)
    return instance && this.#isTold(instance) ? ok(this.#told(instance)) : unknown()
  }

  #launch(body: Fields): Reply {
    const {
      file_system_names: _,
      instance_type_name: type,
      name,
      region_name: region,
      ssh_key_names: keys,
      user_data: data = '',
      ...rest
    } = body
    const isWhole =
      Object.keys(rest).length === 0 &&
      typeof name === 'string' &&
      name.length <= 64 &&
      typeof data === 'string' &&
      Array.isArray(keys) &&
      keys.length === 1 &&
      this.keys.some((key) => key['name'] === keys[0])
    const entry = this.types[String(type)]
    if (!isWhole || !entry) return refused(400, 'global/invalid-parameters', 'Invalid request data')
    if (this.refusal) return this.refusal
    const regions = entry['regions_with_capacity_available'] as readonly Fields[]
    if (!regions.some((one) => one['name'] === region)) return noCapacity()
    return ok({instance_ids: [this.add(body, this.script).id]})
  }

  #terminate({instance_ids: ids}: Fields): Reply {
    const found = (ids as string[]).map((id) => this.instances.get(id))
    if (found.some((one) => !one || !this.#isTold(one))) return unknown()
    const all = found.filter((one) => one !== undefined)
    for (const one of all) one.endedAt ??= this.server.clock.now()
    return ok({terminated_instances: all.map((one) => this.#told(one))})
  }

  #addKey({name, public_key: key}: Fields): Reply {
    if (this.keys.some((other) => other['name'] === name))
      return refused(400, 'global/duplicate', 'There is already an SSH key with this name.')
    this.keys.push({id: `k${this.keys.length + 1}`, name, public_key: key})
    return ok(this.keys.at(-1))
  }

  #isTold({endedAt, launchedAt, script}: FakeInstance): boolean {
    const now = this.server.clock.now()
    if (now < launchedAt + (script.hiddenMs ?? 0)) return false
    return endedAt === undefined || now < endedAt + (script.endMs ?? 30_000) + 60_000
  }

  #told({body, endedAt, id, launchedAt, script}: FakeInstance): Fields {
    const age = this.server.clock.now() - launchedAt - (script.bootMs ?? 200_000)
    const isOver =
      endedAt !== undefined && this.server.clock.now() >= endedAt + (script.endMs ?? 30_000)
    const living = age >= 0 ? (script.ends ?? 'active') : 'booting'
    return {
      id,
      name: body['name'],
      status: endedAt === undefined ? living : isOver ? 'terminated' : 'terminating',
      ...(age >= (script.addressMs ?? 0) && {ip: '203.0.113.9'}),
      region: {name: body['region_name'], description: 'somewhere'},
      instance_type: this.types[String(body['instance_type_name'])]?.['instance_type'],
      ssh_key_names: ['laptop'],
      file_system_names: [],
      jupyter_token: 'jupyter-secret',
      actions: {migrate: {available: false}},
      ...script.fields,
    }
  }
}

export function typeEntry(
  change: Fields = {},
  regions: readonly string[] = ['us-east-1', 'us-west-2'],
): Fields {
  return {
    instance_type: {
      name: TYPE,
      description: '1x H100 (80 GB SXM5)',
      gpu_description: 'H100 (80 GB SXM5)',
      price_cents_per_hour: 249,
      specs: {vcpus: 26, memory_gib: 225, storage_gib: 2816, gpus: 1},
      ...change,
    },
    regions_with_capacity_available: regions.map((name) => ({name, description: name})),
  }
}

export function noCapacity(): Reply {
  return refused(
    400,
    'instance-operations/launch/insufficient-capacity',
    'Not enough capacity to fulfill launch request.',
  )
}

export function refused(status: number, code: string, message: string): Reply {
  return {status, body: {error: {code, message, suggestion: 'Try again later.'}}}
}

function unknown(): Reply {
  return refused(404, 'global/object-does-not-exist', 'Specified instance does not exist.')
}

function ok(data: unknown): Reply {
  return {status: 200, body: {data}}
}
