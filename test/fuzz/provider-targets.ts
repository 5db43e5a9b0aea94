import * as v from 'valibot'
import type {HttpReply} from '../../src/lib/providers/http.js'
import {lambdaFailure} from '../../src/lib/providers/lambda-failure.js'
import {instanceSchema, lambdaInstance} from '../../src/lib/providers/lambda-instance.js'
import {
  catalogSchema as lambdaCatalog,
  lambdaOffers,
} from '../../src/lib/providers/lambda-offers.js'
import {isProviderError} from '../../src/lib/providers/provider-error.js'
import type {Instance, Offer, Spec} from '../../src/lib/providers/provider.js'
import {runpodFailure} from '../../src/lib/providers/runpod-failure.js'
import {
  catalogSchema as runpodCatalog,
  runpodOffers,
} from '../../src/lib/providers/runpod-offers.js'
import {podInstance, podSchema} from '../../src/lib/providers/runpod-pod.js'
import {thresholdMs, vastFailure} from '../../src/lib/providers/vast-failure.js'
import {listVast} from '../../src/lib/providers/vast-instances.js'
import {vastOffers} from '../../src/lib/providers/vast-offers.js'
import {parseVastRecord, vastInstance} from '../../src/lib/providers/vast-record.js'
import {VastHttp} from '../../src/lib/providers/vast-http.js'
import {ShiftedClock} from '../support/shifted-clock.js'
import {insist, isPlain, type Target, textOf} from './target.js'

const WANTED: Spec = {
  gpuName: 'RTX 4090',
  gpuCount: 1,
  gpuMemoryMB: 24_000,
  diskGB: 40,
  ports: ['22/tcp'],
  envNames: [],
  market: {kind: 'on-demand'},
}

/** Values of the vendor that dumont acts on: where to connect, and what it costs. */
function checkInstance({endpoints, hourly, id}: Instance): void {
  insist(id !== '' && !/[/?#\s]/.test(id), `an id that leads elsewhere: ${id}`)
  insist(hourly === undefined || Number.isFinite(hourly), 'a price')
  for (const {host, port, user} of endpoints) {
    insist(/^[A-Za-z0-9_.][A-Za-z0-9_.-]*$/.test(user), `a user ${user}`)
    insist(/^[A-Za-z0-9:._][A-Za-z0-9:._-]*$/.test(host), `a host ${host}`)
    insist(Number.isInteger(port) && port >= 1 && port <= 65_535, `a port ${port}`)
  }
}

function checkOffers(offers: readonly Offer[]): void {
  for (const {hourly} of offers) insist(Number.isFinite(hourly) && hourly >= 0, `a price ${hourly}`)
}

function replyOf(text: string, status: number): HttpReply {
  return {status, headers: new Headers(), text, json: jsonOf(text)}
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const STATUSES = [200, 301, 400, 401, 404, 429, 500]
const operation = {
  provider: 'vast',
  operation: 'list',
  endpoint: 'list',
  secrets: ['sk-1'],
} as const

const failures: Target = {
  name: 'vendor-failures',
  seeds: () =>
    [
      '{"success":false,"error":"no_such_ask","msg":"Instance type by id 1 is not available."}',
      '{"title":"Bad Request","detail":"There are no longer any instances available","errors":["a"]}',
      '{"error":{"code":"instance-operations/launch/insufficient-capacity","message":"none","suggestion":"wait"}}',
      'API requests too frequent endpoint threshold=4.5',
      '<html>bad gateway</html>',
    ].map((text) => Buffer.from(text)),
  run(input) {
    for (const status of STATUSES) {
      const reply = replyOf(textOf(input), status)
      const failure = vastFailure(reply, operation)
      insist(isPlain(failure?.message ?? ''), 'a failure that drives the terminal')
      insist(thresholdMs(reply) >= 0 && thresholdMs(reply) <= 60_000, 'a pause without end')
      for (const tell of [runpodFailure, lambdaFailure])
        insist(tell(reply).failure !== undefined, 'a failure')
    }
  },
}

const VAST_ROW = {
  id: 7,
  label: 'dumont',
  machine_id: 3,
  actual_status: 'running',
  intended_status: 'running',
  cur_state: 'running',
  next_state: 'running',
  status_msg: 'ok',
  is_bid: false,
  dph_base: 0.3,
  dph_total: 0.4,
  storage_cost: 0.2,
  inet_up_cost: 0.01,
  inet_down_cost: 0.01,
  start_date: 1_700_000_000.5,
  end_date: null,
  image_uuid: 'pytorch/pytorch',
  ssh_host: 'ssh5.vast.ai',
  ssh_port: 20_007,
  public_ipaddr: '1.2.3.4\n',
  ports: {'22/tcp': [{HostIp: '0.0.0.0', HostPort: '41022'}]},
  gpu_name: 'RTX 4090',
  num_gpus: 1,
  gpu_ram: 24_564,
  cpu_ram: 64_000,
  cpu_cores_effective: 8,
  disk_space: 40,
  cuda_max_good: 12.4,
  geolocation: 'Texas, US',
  extra_env: [
    ['A', 'secret'],
    ['-p 8080:8080', '1'],
  ],
  volume_info: [{id: 1, mount_path: '/v'}],
}

const vastRecord: Target = {
  name: 'vast-record',
  seeds: () => [Buffer.from(JSON.stringify(VAST_ROW)), Buffer.from(JSON.stringify([['A', 'x']]))],
  run(input) {
    const row = jsonOf(textOf(input))
    try {
      checkInstance(vastInstance(parseVastRecord(row)))
    } catch (error) {
      if (!v.isValiError(error)) throw error
    }
  },
}

const vastList: Target = {
  name: 'vast-list',
  seeds: () => [
    Buffer.from(JSON.stringify({success: true, instances: [VAST_ROW], next_token: null})),
    Buffer.from(
      JSON.stringify({
        success: true,
        instances: Array.from({length: 25}, () => VAST_ROW),
        next_token: 'a',
      }),
    ),
  ],
  async run(input) {
    let asked = 0
    // The same page for ever, whatever was asked.
    const answering = async () => {
      asked += 1
      return new Response(Buffer.from(input), {status: 200})
    }
    const http = new VastHttp({
      key: 'k',
      base: new URL('https://vast.example'),
      clock: new ShiftedClock(),
      fetch: answering,
      random: () => 0,
    })
    try {
      for (const instance of await listVast(http)) checkInstance(instance)
    } catch (error) {
      if (!isProviderError(error)) throw error
      insist(isPlain(error.message), 'a failure that drives the terminal')
    }
    insist(asked <= 5, `${asked} requests for a list that goes in a circle`)
  },
}

const OFFER = {
  id: 9,
  machine_id: 3,
  gpu_name: 'RTX 4090',
  num_gpus: 1,
  gpu_ram: 24_564,
  cpu_ram: 64_000,
  cpu_cores_effective: 8,
  disk_space: 400,
  cuda_max_good: 12.4,
  direct_port_count: 10,
  static_ip: true,
  geolocation: 'Texas, US',
  dph_base: 0.3,
  dph_total: 0.4,
  min_bid: 0.2,
  storage_cost: 0.2,
  inet_up: 900,
  inet_down: 900,
  inet_up_cost: 0.01,
  inet_down_cost: 0.01,
  reliability2: 0.99,
}

const vastSearch: Target = {
  name: 'vast-offers',
  seeds: () => [Buffer.from(JSON.stringify([OFFER, OFFER])), Buffer.from(JSON.stringify(OFFER))],
  run(input) {
    const offers = jsonOf(textOf(input))
    checkOffers(vastOffers(offers, WANTED))
    checkOffers(vastOffers(offers, {...WANTED, market: {kind: 'spot', bid: 0.25}}))
  },
}

const POD = {
  id: 'abc',
  name: 'dumont',
  status: 'RUNNING',
  image: 'pytorch',
  disk: 20,
  mounts: {persistent: {size: 40, path: '/workspace'}, network: [{volumeId: 'v1'}]},
  ports: ['22/tcp', '8888/http'],
  env: {A: 'secret', PUBLIC_KEY: 'x'},
  gpu: {id: 'NVIDIA GeForce RTX 4090', count: 1, vcpuCount: 8, memory: 31},
  cloud: 'SECURE',
  dataCenterId: 'EU-RO-1',
  cudaVersion: '12.4',
  ssh: {direct: {host: '1.2.3.4', port: 22_022, username: 'root'}},
  cost: 0.69,
  locked: false,
  createdAt: '2026-11-23T14:02:00Z',
}
const GPUS = {
  gpus: [
    {
      id: 'NVIDIA GeForce RTX 4090',
      name: 'RTX 4090',
      memory: 24,
      price: {secure: 0.69, community: 0.4},
      availability: 'HIGH',
      dataCenters: [{id: 'EU-RO-1', availability: 'LOW'}],
    },
  ],
}

const runpod: Target = {
  name: 'runpod',
  seeds: () => [POD, GPUS].map((value) => Buffer.from(JSON.stringify(value))),
  run(input) {
    const value = jsonOf(textOf(input))
    const pod = v.safeParse(podSchema, value)
    if (pod.success) {
      const {endpoints} = podInstance(pod.output)
      checkInstance({...podInstance(pod.output), id: 'checked elsewhere'.slice(0, 7), endpoints})
    }
    const catalog = v.safeParse(runpodCatalog, value)
    if (catalog.success) checkOffers(runpodOffers(catalog.output, WANTED))
  },
}

const TYPE = {
  name: 'gpu_1x_rtx4090',
  gpu_description: 'RTX 4090 (24 GB)',
  price_cents_per_hour: 69,
  specs: {vcpus: 8, memory_gib: 64, storage_gib: 512, gpus: 1},
}

const lambda: Target = {
  name: 'lambda',
  seeds: () =>
    [
      {
        id: 'abc',
        name: 'dumont',
        ip: '1.2.3.4',
        status: 'active',
        file_system_names: ['fs'],
        region: {name: 'us-east-1'},
        instance_type: TYPE,
      },
      {
        data: {
          gpu_1x_rtx4090: {
            instance_type: TYPE,
            regions_with_capacity_available: [{name: 'us-east-1'}],
          },
        },
      },
    ].map((value) => Buffer.from(JSON.stringify(value))),
  run(input) {
    const value = jsonOf(textOf(input))
    const row = v.safeParse(instanceSchema, value)
    if (row.success) checkInstance({...lambdaInstance(row.output), id: 'abc'})
    const catalog = v.safeParse(lambdaCatalog, value)
    if (catalog.success) checkOffers(lambdaOffers(catalog.output, WANTED))
  },
}

export const PROVIDER_TARGETS: readonly Target[] = [
  failures,
  vastRecord,
  vastList,
  vastSearch,
  runpod,
  lambda,
]
