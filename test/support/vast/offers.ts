import {type Fields, isFields, ok, refusal, type Reply} from './reply.js'

export interface OfferRow {
  readonly id: number
  readonly machine_id: number
  readonly [field: string]: unknown
}

/** A machine such as many offer. */
export function offerRow(id: number, change: Fields = {}): OfferRow {
  return {
    id,
    ask_contract_id: id,
    bundle_id: id * 3,
    machine_id: id * 10,
    host_id: 77,
    gpu_name: 'RTX 4090',
    num_gpus: 1,
    gpu_frac: 0.25,
    gpu_ram: 24_564,
    cpu_name: 'AMD EPYC 7543',
    cpu_ram: 128_000,
    cpu_cores_effective: 16,
    disk_space: 800,
    disk_bw: 3200,
    inet_up: 600,
    inet_down: 900,
    inet_up_cost: 0.002,
    inet_down_cost: 0.001,
    internet_up_cost_per_tb: 2,
    internet_down_cost_per_tb: 1,
    direct_port_count: 100,
    static_ip: true,
    cuda_max_good: 12.8,
    driver_version: '570.86.15',
    compute_cap: 890,
    dph_base: 0.35,
    min_bid: 0.17,
    is_bid: false,
    storage_cost: 0.15,
    reliability: 0.995,
    reliability2: 0.995,
    verified: true,
    verification: 'verified',
    external: false,
    rentable: true,
    rented: false,
    hosting_type: 0,
    geolocation: 'Texas, US',
    duration: 2_000_000,
    score: 300 - id / 1000,
    vms_enabled: false,
    ...change,
  }
}

const OPERATORS: Readonly<Record<string, (value: never, wanted: never) => boolean>> = {
  eq: (value, wanted) => value === wanted,
  neq: (value, wanted) => value !== wanted,
  gt: (value, wanted) => value > wanted,
  gte: (value, wanted) => value >= wanted,
  lt: (value, wanted) => value < wanted,
  lte: (value, wanted) => value <= wanted,
  in: (value, wanted: readonly unknown[]) => wanted.includes(value),
  notin: (value, wanted: readonly unknown[]) => !wanted.includes(value),
}

const SETTINGS = new Set(['allocated_storage', 'limit', 'order', 'type'])
const TYPES = new Set(['bid', 'interruptible', 'on-demand', 'ondemand', 'reserved'])

/** All operators, order and limit, priced for `allocated_storage`; refuses what the vendor refuses. */
export function searchOffers(rows: readonly OfferRow[], query: unknown): Reply {
  const problem = queryProblem(query)
  if (problem) return refusal(400, 'bad_request', problem)
  const {allocated_storage: disk = 5, limit = 64, order = [['score', 'desc']]} = query as Fields
  const filters = Object.entries(query as Fields).filter(([name]) => !SETTINGS.has(name))
  const found = rows
    .map((row) => priced(row, Number(disk)))
    .filter((row) => filters.every(([name, filter]) => matches(row, name, filter as Fields)))
    .toSorted((one, other) => compare(one, other, order as readonly [string, string][]))
  return ok({offers: found.slice(0, Number(limit))})
}

export function priced(row: OfferRow, disk: number): OfferRow {
  const storage = (Number(row['storage_cost']) * disk) / 720
  return {...row, storage_total_cost: storage, dph_total: Number(row['dph_base']) + storage}
}

function queryProblem(query: unknown): string | undefined {
  if (!isFields(query)) return 'Input should be a valid dictionary'
  const {allocated_storage, limit, type = 'on-demand'} = query
  if (typeof type !== 'string' || !TYPES.has(type)) return `q.type: ${String(type)}`
  if (limit !== undefined && !Number.isInteger(limit)) return 'q.limit: an integer'
  if (allocated_storage !== undefined && typeof allocated_storage !== 'number')
    return 'q.allocated_storage: a number'
  for (const [name, filter] of Object.entries(query)) {
    if (SETTINGS.has(name)) continue
    if (name === 'ssh_direct') return 'q.ssh_direct: unknown column'
    if (!isFields(filter))
      return `q.${name}: Input should be a valid dictionary; got ${typeof filter}`
    const unknown = Object.keys(filter).find((operator) => !(operator in OPERATORS))
    if (unknown !== undefined) return `q.${name}.${unknown}: unknown operator`
  }
  return undefined
}

function matches(row: OfferRow, name: string, filter: Fields): boolean {
  const value = name === 'geolocation' ? countryOf(row[name]) : row[name]
  return Object.entries(filter).every(([operator, wanted]) =>
    OPERATORS[operator]?.(value as never, wanted as never),
  )
}

function countryOf(place: unknown): string {
  return String(place).split(', ').at(-1) ?? ''
}

function compare(one: OfferRow, other: OfferRow, order: readonly [string, string][]): number {
  for (const [name, direction] of order) {
    const difference = Number(one[name]) - Number(other[name])
    if (difference !== 0) return direction === 'desc' ? -difference : difference
  }
  return 0
}
