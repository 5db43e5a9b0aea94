import * as v from 'valibot'
import {goneInstance} from './gone-instance.js'
import type {Endpoint, Instance, Phase, Spec} from './provider.js'
import {lenient, told} from './told.js'

const {number, text, texts} = told

/** A type of machine, as the catalogue and every instance describe it. */
export const typeSchema = v.object({
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(100)),
  gpu_description: text,
  price_cents_per_hour: number,
  specs: lenient(v.object({vcpus: number, memory_gib: number, storage_gib: number, gpus: number})),
})

export type LambdaType = v.InferOutput<typeof typeSchema>

/** Only what is named here is kept: `jupyter_token` goes no further. */
export const instanceSchema = v.object({
  id: v.pipe(v.string(), v.minLength(1), v.maxLength(64)),
  name: text,
  ip: text,
  status: text,
  file_system_names: texts,
  region: lenient(v.object({name: text})),
  instance_type: lenient(typeSchema),
})

const PHASES: Readonly<Record<string, Phase>> = {
  booting: 'starting',
  active: 'running',
  unhealthy: 'unreachable',
  // It will not run again, and is not gone before the vendor says so.
  terminating: 'failed',
  terminated: 'gone',
  preempted: 'interrupted',
}

const GIB_IN_MB = 1073.741824
const ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]{2,39})$/iu

export function lambdaInstance(row: v.InferOutput<typeof instanceSchema>): Instance {
  const {file_system_names: volumes, id, instance_type: type, name, region, status = ''} = row
  const endpoints = endpointsOf(row.ip)
  const phase = Object.hasOwn(PHASES, status) ? (PHASES[status] ?? 'unknown') : 'unknown'
  // The address comes late in the boot.
  const isReady = phase !== 'running' || endpoints.length > 0
  return {
    ...goneInstance(id, status),
    label: name,
    phase: isReady ? phase : 'starting',
    endpoints: phase === 'gone' ? [] : endpoints,
    spec: typeSpec(type, region?.name),
    hourly: phase === 'gone' ? 0 : priceOf(type),
    upCostPerGB: 0,
    downCostPerGB: 0,
    volumes,
  }
}

/** The machine as a spec; what the vendor does not tell in figures is read from its names. */
export function typeSpec(type: LambdaType | undefined, region: string | undefined): Spec {
  const {gpu_description: words, specs} = type ?? {}
  const named = /^gpu_(\d{1,3})x_(\w+)$/u.exec(type?.name ?? '')
  const memory = /\((\d{1,4}) ?G(?:i)?B/u.exec(words ?? '')?.[1]
  return {
    gpuName: words ?? named?.[2]?.replaceAll('_', ' ') ?? '',
    gpuCount: specs?.gpus ?? Number(named?.[1] ?? 0),
    gpuMemoryMB: Number(memory ?? 0) * 1024,
    diskGB: ((specs?.storage_gib ?? 0) * GIB_IN_MB) / 1000,
    ports: [],
    envNames: [],
    market: {kind: 'on-demand'},
    ...(specs?.memory_gib !== undefined && {memoryMB: Math.floor(specs.memory_gib * GIB_IN_MB)}),
    ...(specs?.vcpus !== undefined && {cores: specs.vcpus}),
    ...(region !== undefined && {region}),
  }
}

/** US$ an hour. */
export function priceOf(type: LambdaType | undefined): number | undefined {
  return type?.price_cents_per_hour === undefined ? undefined : type.price_cents_per_hour / 100
}

function endpointsOf(ip: string | undefined): readonly Endpoint[] {
  return ip !== undefined && ADDRESS.test(ip)
    ? [{host: ip, port: 22, user: 'ubuntu', via: 'direct'}]
    : []
}
