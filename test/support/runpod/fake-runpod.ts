import type {Clock} from '../../../src/lib/clock.js'
import {FakeVendor, fieldsOf, type Handling} from '../fake-vendor.js'
import type {Arrival, Fields, Reply} from '../vast/reply.js'
import {type FakePod, type PodScript, tellPod} from './pod.js'
import {podRequestMistake} from './pod-request.js'
import {notFound, ok, problem} from './replies.js'

export const RUNPOD_KEY = 'rpa_SECRETKEY0123456789'
export const GPU = 'NVIDIA GeForce RTX 4090'

/** RunPod's interface, version 2, as its published schema has it. */
export class FakeRunpod {
  readonly pods = new Map<string, FakePod>()
  keys: string[] = ['ssh-ed25519 AAAAold someone@old']
  /** Of the next pod. */
  script: PodScript = {}
  /** Endpoints this key may not use. */
  forbidden = new Set<string>()
  /** Said in place of renting. */
  refusal: Reply | undefined
  catalog: readonly Fields[] = [gpuType()]
  readonly server: FakeVendor
  #ids = 0
  #window: number[] = []

  constructor(clock: Clock) {
    this.server = new FakeVendor(clock, (arrival) => this.#handle(arrival))
  }

  static async start(clock: Clock): Promise<FakeRunpod> {
    const fake = new FakeRunpod(clock)
    await fake.server.listen()
    return fake
  }

  /** What is there and costs. */
  get alive(): readonly FakePod[] {
    return [...this.pods.values()].filter(({deletedAt}) => deletedAt === undefined)
  }

  add(body: Fields = {}, script: PodScript = {}): FakePod {
    const now = this.server.clock.now()
    const pod: FakePod = {
      id: `pod${String(++this.#ids).padStart(7, '0')}`,
      body: {
        name: 'box',
        image: 'runpod/pytorch:1',
        gpu: {id: GPU, count: 1},
        ports: ['22/tcp'],
        disk: 20,
        ...body,
      },
      createdAt: now,
      script,
      startedAt: now,
      stopped: false,
      deletedAt: undefined,
      wiped: false,
    }
    this.pods.set(pod.id, pod)
    return pod
  }

  #handle(arrival: Arrival): Handling {
    const [endpoint, work] = this.#route(arrival)
    return {endpoint, work: () => this.#refusal(arrival, endpoint) ?? work()}
  }

  #refusal({at, headers, text, body}: Arrival, endpoint: string): Reply | undefined {
    if (headers['authorization'] !== `Bearer ${RUNPOD_KEY}`)
      return problem(401, 'Unauthorized', 'missing bearer token')
    this.#window = [...this.#window.filter((past) => past > at - 60_000), at]
    if (this.#window.length > 60)
      return {
        ...problem(429, 'Too Many Requests', 'rate limit exceeded for the minute window'),
        headers: {'retry-after': '12'},
      }
    if (this.forbidden.has(endpoint)) return problem(403, 'Forbidden', 'access denied')
    if (text !== '' && (body === undefined || headers['content-type'] !== 'application/json'))
      return problem(400, 'Bad Request', 'no JSON')
    return undefined
  }

  #route({body, method, path, query}: Arrival): readonly [string, () => Reply] {
    const [, id = '', action] = /^\/v2\/pods\/([^/]+)(\/action)?$/u.exec(path) ?? []
    const asked = `${method} ${id === '' ? path : `/v2/pods/ID${action ?? ''}`}`
    const routes: Readonly<Record<string, readonly [string, () => Reply]>> = {
      'POST /graphql': ['whoami', () => ok({data: {myself: {id: 'user_1', clientBalance: 12.5}}})],
      'GET /v2/pods': ['list', () => this.#list(query)],
      'POST /v2/pods': ['create', () => this.#create(fieldsOf(body))],
      'GET /v2/pods/ID': ['get', () => this.#get(id)],
      'DELETE /v2/pods/ID': ['destroy', () => this.#destroy(id)],
      'POST /v2/pods/ID/action': ['action', () => this.#act(id, fieldsOf(body)['action'])],
      'GET /v2/account/ssh-keys': ['keys', () => ok({keys: this.keys})],
      'PUT /v2/account/ssh-keys': ['put-keys', () => this.#putKeys(fieldsOf(body)['keys'])],
      'GET /v2/catalog/gpus': ['search', () => this.#search(query)],
    }
    return routes[asked] ?? ['unknown', () => problem(404, 'Not Found', 'no such path')]
  }

  #list(query: URLSearchParams): Reply {
    const all = [...this.pods.values()].filter((pod) => this.#isTold(pod))
    const shown = all.filter(
      ({body}) => body['cluster'] === undefined || query.get('includeClusterPods') === 'true',
    )
    return ok({pods: shown.map((pod) => tellPod(pod, this.server.clock.now()))})
  }

  #get(id: string): Reply {
    const pod = this.pods.get(id)
    return pod && this.#isTold(pod) ? ok(tellPod(pod, this.server.clock.now())) : notFound()
  }

  #create(body: Fields): Reply {
    const mistake = podRequestMistake(body)
    if (mistake !== undefined)
      return {
        status: 422,
        body: {
          title: 'Unprocessable Entity',
          status: 422,
          detail: 'Request validation failed.',
          errors: [mistake],
        },
      }
    if (this.refusal) return this.refusal
    const pod = this.add(body, this.script)
    return {status: 201, body: tellPod(pod, this.server.clock.now())}
  }

  #destroy(id: string): Reply {
    const pod = this.pods.get(id)
    if (!pod || pod.deletedAt !== undefined) return notFound()
    pod.deletedAt = this.server.clock.now()
    return {status: 204, body: ''}
  }

  #act(id: string, action: unknown): Reply {
    const pod = this.pods.get(id)
    if (!pod || !this.#isTold(pod)) return notFound()
    const isAllowed =
      action === 'start'
        ? pod.stopped
        : action === 'stop' && !pod.stopped && pod.script.fields?.['locked'] !== true
    if (!isAllowed) return problem(409, 'Conflict', `action ${String(action)} is not allowed`)
    pod.stopped = action === 'stop'
    if (pod.stopped) pod.wiped = true
    else pod.startedAt = this.server.clock.now()
    return ok(tellPod(pod, this.server.clock.now()))
  }

  #putKeys(keys: unknown): Reply {
    const isWhole =
      Array.isArray(keys) &&
      keys.every((key) => /^(ssh|ecdsa|sk)-[^\s]+ [^\s]+([ \t][^\n\r]*)?$/u.test(String(key)))
    if (!isWhole) return problem(422, 'Unprocessable Entity', 'keys')
    this.keys = keys as string[]
    return ok({keys})
  }

  #search(query: URLSearchParams): Reply {
    if (query.get('include') !== 'AVAILABILITY' || query.get('product') !== 'POD')
      return problem(400, 'Bad Request', 'include and product belong together')
    return ok({gpus: this.catalog})
  }

  #isTold({createdAt, deletedAt, script}: FakePod): boolean {
    const now = this.server.clock.now()
    if (now < createdAt + (script.hiddenMs ?? 0)) return false
    return deletedAt === undefined || now < deletedAt + (script.lingerMs ?? 0)
  }
}

export function gpuType(change: Fields = {}): Fields {
  return {
    id: GPU,
    name: 'RTX 4090',
    pool: 'ADA_24',
    manufacturer: 'NVIDIA',
    memory: 24,
    secure: true,
    community: true,
    price: {secure: 0.44, community: 0.31},
    maxCount: {secure: 8, community: 4},
    availability: 'HIGH',
    dataCenters: [
      {id: 'US-TX-3', name: 'US Texas 3', availability: 'LOW'},
      {id: 'EU-RO-1', name: 'EU Romania 1', availability: 'HIGH'},
      {id: 'US-CA-2', name: 'US California 2', availability: 'NONE'},
    ],
    ...change,
  }
}
