import * as v from 'valibot'
import type {Instance, Phase, Spec} from './provider.js'
import {lenient, told} from './told.js'
import {vastEndpoints} from './vast-endpoints.js'
import {vastPhase} from './vast-phase.js'

/** Numbers that this vendor tells as text, too. */
export const number = lenient(
  v.pipe(
    v.union([v.number(), v.pipe(v.string(), v.trim(), v.decimal(), v.transform(Number))]),
    v.finite(),
  ),
)
const {flag, text} = told

/** Only what is named here is kept: `instance_api_key`, `jupyter_token` and the values of variables go no further. */
const record = v.object({
  id: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  label: text,
  machine_id: number,
  actual_status: text,
  intended_status: text,
  cur_state: text,
  next_state: text,
  status_msg: text,
  is_bid: flag,
  dph_base: number,
  dph_total: number,
  storage_cost: number,
  inet_up_cost: number,
  inet_down_cost: number,
  start_date: number,
  end_date: number,
  image_uuid: text,
  image_runtype: text,
  template_hash_id: text,
  ssh_host: text,
  ssh_port: number,
  public_ipaddr: text,
  ports: v.unknown(),
  gpu_name: text,
  num_gpus: number,
  gpu_ram: number,
  cpu_ram: number,
  cpu_cores_effective: number,
  disk_space: number,
  cuda_max_good: number,
  geolocation: text,
  extra_env: v.pipe(v.unknown(), v.transform(namesOf)),
  volume_info: v.pipe(v.unknown(), v.transform(volumesOf)),
})

export type VastRecord = v.InferOutput<typeof record>

const HOURS_A_MONTH = 720

/** Throws a ValiError for what has no id. */
export function parseVastRecord(value: unknown): VastRecord {
  const {extra_env, ports, volume_info, ...rest} = (value ?? {}) as Record<string, unknown>
  return v.parse(record, {...rest, extra_env, ports, volume_info})
}

/** Instance and record belong together: nothing of the record is secret. */
export function vastInstance(row: VastRecord): Instance {
  const phase = vastPhase(row)
  return {
    id: String(row.id),
    label: row.label || undefined,
    phase,
    state: stateOf(row),
    message: row.status_msg || undefined,
    endpoints: vastEndpoints(row),
    spec: specOf(row),
    machine: row.machine_id == null ? undefined : String(row.machine_id),
    hourly: hourlyOf(row, phase),
    storagePerGBMonth: row.storage_cost ?? undefined,
    upCostPerGB: row.inet_up_cost ?? undefined,
    downCostPerGB: row.inet_down_cost ?? undefined,
    createdAt: millisecondsOf(row.start_date),
    endsAt: millisecondsOf(row.end_date),
    volumes: row.volume_info,
  }
}

function specOf(row: VastRecord): Spec {
  return {
    gpuName: row.gpu_name ?? '',
    gpuCount: row.num_gpus ?? 0,
    gpuMemoryMB: row.gpu_ram ?? 0,
    diskGB: row.disk_space ?? 0,
    ...(row.cpu_ram != null && {memoryMB: row.cpu_ram}),
    ...(row.cpu_cores_effective != null && {cores: row.cpu_cores_effective}),
    // CUDA runs on every driver of its major version.
    ...(row.cuda_max_good != null && {cuda: `${Math.floor(row.cuda_max_good)}.0`}),
    ...(row.image_uuid && {image: row.image_uuid}),
    ...(row.template_hash_id && {templateId: row.template_hash_id}),
    ...(row.geolocation && {region: row.geolocation}),
    ports: row.extra_env.flatMap(portOf),
    envNames: row.extra_env.filter((name) => /^\w+$/u.test(name)),
    market:
      row.is_bid === true
        ? {kind: 'spot', bid: row.dph_base ?? row.dph_total ?? 0}
        : {kind: 'on-demand'},
  }
}

/** Which port outside leads to it is the vendor's choice, whatever was asked: `-p 8081:8080` is `8080/tcp`. */
function portOf(name: string): readonly string[] {
  const [, port, protocol = 'tcp'] = /^-p \d+:(\d{1,5})(?:\/(tcp|udp))?$/u.exec(name) ?? []
  return port === undefined ? [] : [`${port}/${protocol}`]
}

/** A stopped instance pays for its disk alone; a frozen one pays for all. */
function hourlyOf(row: VastRecord, phase: Phase): number | undefined {
  const rests = (phase === 'stopped' || phase === 'interrupted') && row.actual_status !== 'frozen'
  if (!rests) return row.dph_total ?? undefined
  if (row.storage_cost == null || row.disk_space == null) return undefined
  return (row.storage_cost * row.disk_space) / HOURS_A_MONTH
}

function stateOf({actual_status, intended_status}: VastRecord): string {
  const actual = actual_status || 'none'
  return !intended_status || intended_status === actual
    ? actual
    : `${actual}, to be ${intended_status}`
}

function millisecondsOf(seconds: number | null | undefined): number | undefined {
  return seconds == null ? undefined : Math.round(seconds * 1000)
}

/** `[["NAME","value"],["-p 8080:8080","1"]]`, or an object of the same; values may be secret and are left behind. */
function namesOf(value: unknown): readonly string[] {
  const names = Array.isArray(value)
    ? value.map((pair: unknown) => (Array.isArray(pair) ? (pair[0] as unknown) : undefined))
    : Object.keys(typeof value === 'object' && value !== null ? value : {})
  return names.flatMap((name) => (typeof name === 'string' ? [name.trim()] : []))
}

/** The vendor does not say what its volumes look like here: whatever there is costs, and is named as well as can be. */
function volumesOf(value: unknown): readonly string[] {
  const entries: readonly unknown[] = Array.isArray(value) ? value : [value]
  return entries.flatMap((entry) => {
    if (entry === null || entry === undefined || entry === '') return []
    if (typeof entry !== 'object') return [JSON.stringify(entry).slice(0, 200)]
    const {id, label, mount_path, name, volume_id} = entry as Record<string, unknown>
    if (Object.keys(entry).length === 0) return []
    const called = [label, name, volume_id, id].find(
      (one) => typeof one === 'string' || typeof one === 'number',
    )
    const at = typeof mount_path === 'string' ? ` at ${mount_path}` : ''
    return [`${String(called ?? 'unnamed volume')}${at}`.slice(0, 200)]
  })
}
