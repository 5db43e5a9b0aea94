import * as v from 'valibot'
import {offerMismatch} from './offer-match.js'
import type {Offer, SearchOptions, Spec} from './provider.js'
import {told} from './told.js'
import {number} from './vast-record.js'

const LIMIT = 200
const HOURS_A_MONTH = 720
/** Cards of one name differ a little in what they report. */
const MEMORY_FLOOR = 0.98

const {flag, text} = told
/** An offer that hides a price is none. */
const price = v.pipe(v.number(), v.finite(), v.minValue(0))
const row = v.object({
  id: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  machine_id: number,
  gpu_name: text,
  num_gpus: number,
  gpu_ram: number,
  cpu_ram: number,
  cpu_cores_effective: number,
  disk_space: number,
  cuda_max_good: number,
  direct_port_count: number,
  static_ip: flag,
  geolocation: text,
  dph_base: number,
  dph_total: number,
  min_bid: number,
  storage_cost: price,
  inet_up: number,
  inet_down: number,
  inet_up_cost: price,
  inet_down_cost: price,
  reliability: number,
  reliability2: number,
})
type Row = v.InferOutput<typeof row>

/** The vendor's query: priced for the disk that will be rented, machines that can map port 22 only. */
export function vastQuery(spec: Spec, {maxHourly}: SearchOptions = {}): Record<string, unknown> {
  const country = countryOf(spec.region)
  const isSpot = spec.market.kind === 'spot'
  return {
    verified: {eq: true},
    external: {eq: false},
    rentable: {eq: true},
    rented: {eq: false},
    gpu_name: {eq: spec.gpuName},
    num_gpus: {eq: spec.gpuCount},
    gpu_ram: {gte: Math.floor(spec.gpuMemoryMB * MEMORY_FLOOR)},
    disk_space: {gte: spec.diskGB},
    direct_port_count: {gte: 1},
    ...(spec.memoryMB !== undefined && {cpu_ram: {gte: spec.memoryMB}}),
    ...(spec.cores !== undefined && {cpu_cores_effective: {gte: spec.cores}}),
    ...(spec.cuda !== undefined && {cuda_max_good: {gte: Number(spec.cuda)}}),
    ...(country !== undefined && {geolocation: {in: [country]}}),
    ...(spec.market.kind === 'spot' && {min_bid: {lte: spec.market.bid}}),
    ...(maxHourly !== undefined && !isSpot && {dph_total: {lte: maxHourly}}),
    order: [['dph_total', 'asc']],
    type: isSpot ? 'bid' : 'on-demand',
    limit: LIMIT,
    allocated_storage: spec.diskGB,
  }
}

/** The answer's rows that truly are what was asked for, cheapest first: the vendor returns others too. */
export function vastOffers(answer: unknown, spec: Spec, options?: SearchOptions): readonly Offer[] {
  const rows: readonly unknown[] = Array.isArray(answer) ? answer : [answer]
  const {region: _, ...wanted} = spec
  const country = countryOf(spec.region)
  const asked = {...wanted, ...(country !== undefined && {region: country})}
  return rows
    .flatMap((value) => {
      const parsed = v.safeParse(row, value)
      return parsed.success && isUsable(parsed.output, spec) ? offerOf(parsed.output, spec) : []
    })
    .filter((offer) => offerMismatch(offer, asked, options) === undefined)
    .toSorted((one, other) => one.hourly - other.hourly)
}

/** Room for the disk and a port of its own; what is wanted but not told is missing. */
function isUsable({direct_port_count, disk_space, gpu_ram, static_ip}: Row, spec: Spec): boolean {
  const isDirect = static_ip === true || (direct_port_count ?? 0) >= 1
  return isDirect && (disk_space ?? 0) >= spec.diskGB && gpu_ram != null
}

/** Rows say `Texas, US`, queries `US`. */
function countryOf(region: string | null | undefined): string | undefined {
  return region?.split(',').at(-1)?.trim() || undefined
}

function offerOf(found: Row, spec: Spec): readonly Offer[] {
  const hourly = hourlyOf(found, spec)
  if (hourly === undefined) return []
  return [
    {
      id: String(found.id),
      machine: found.machine_id == null ? undefined : String(found.machine_id),
      spec: specOf(found, spec),
      hourly,
      storagePerGBMonth: found.storage_cost,
      upCostPerGB: found.inet_up_cost,
      downCostPerGB: found.inet_down_cost,
      downMbps: found.inet_down ?? undefined,
      upMbps: found.inet_up ?? undefined,
      reliability: found.reliability2 ?? found.reliability ?? undefined,
    },
  ]
}

/** Never less than GPU and asked disk together, should the row be priced for another disk. */
function hourlyOf(found: Row, {diskGB, market}: Spec): number | undefined {
  const disk = (found.storage_cost * diskGB) / HOURS_A_MONTH
  if (market.kind === 'spot')
    return found.min_bid != null && found.min_bid <= market.bid ? market.bid + disk : undefined
  const {dph_base: gpu, dph_total: total} = found
  if (!total || total < 0) return undefined
  return gpu == null ? total : Math.max(total, gpu + disk)
}

function specOf(found: Row, asked: Spec): Spec {
  return {
    ...asked,
    gpuName: found.gpu_name ?? '',
    gpuCount: found.num_gpus ?? 0,
    gpuMemoryMB: found.gpu_ram ?? 0,
    ...(found.cpu_ram != null && {memoryMB: found.cpu_ram}),
    ...(found.cpu_cores_effective != null && {cores: found.cpu_cores_effective}),
    ...(found.cuda_max_good != null && {cuda: String(found.cuda_max_good)}),
    ...(found.geolocation && {region: found.geolocation}),
  }
}
