import * as v from 'valibot'
import {goneInstance} from './gone-instance.js'
import type {Endpoint, Instance, Phase} from './provider.js'
import {lenient, told} from './told.js'

const {flag, names, number, text, texts} = told

const endpoint = lenient(
  v.object({
    host: v.pipe(v.string(), v.regex(/^(?!-)[A-Za-z0-9.:-]{1,253}$/u)),
    port: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535)),
    username: v.pipe(v.string(), v.regex(/^(?!-)[A-Za-z0-9_.-]{1,64}$/u)),
  }),
)

/** Only what is named here is kept: values of variables go no further. */
export const podSchema = v.object({
  id: v.pipe(v.string(), v.minLength(1), v.maxLength(64)),
  name: text,
  status: text,
  image: text,
  disk: number,
  mounts: lenient(
    v.object({
      persistent: lenient(v.object({size: number, path: text})),
      network: v.fallback(v.array(lenient(v.object({volumeId: text}))), []),
    }),
  ),
  ports: texts,
  env: names,
  gpu: lenient(v.object({id: text, count: number, vcpuCount: number, memory: number})),
  cloud: text,
  dataCenterId: text,
  cudaVersion: text,
  ssh: lenient(v.object({proxy: endpoint, direct: endpoint})),
  cost: number,
  locked: flag,
  createdAt: text,
})

export type Pod = v.InferOutput<typeof podSchema>

const PHASES: Readonly<Record<string, Phase>> = {
  PROVISIONING: 'provisioning',
  STARTING: 'starting',
  RUNNING: 'running',
  EXITED: 'stopped',
  ERROR: 'failed',
  TERMINATED: 'gone',
}

/** US$ per GB and month, as the vendor's pages have it; the interface tells no price of disks. */
export const DISK_PRICE = 0.1
const STOPPED_DISK_PRICE = 0.2
const MONTH_HOURS = 720
/** What the vendor itself puts there, and renews on a new pod. */
const VENDOR_NAMES: ReadonlySet<string> = new Set(['JUPYTER_PASSWORD', 'PUBLIC_KEY'])

/** What the renter of a pod put into its environment, by name: for encrypted records only. */
export const podValues = v.pipe(
  v.object({env: v.fallback(v.record(v.string(), v.string()), {})}),
  v.transform(({env}) =>
    Object.fromEntries(Object.entries(env).filter(([name]) => !VENDOR_NAMES.has(name))),
  ),
)

export const COMMUNITY = 'COMMUNITY'

export function podInstance(pod: Pod): Instance {
  const phase = phaseOf(pod)
  return {
    ...goneInstance(pod.id, pod.status ?? ''),
    label: pod.name,
    phase,
    message: phase === 'gone' ? undefined : messageOf(pod),
    endpoints: endpointsOf(pod),
    spec: specOf(pod),
    hourly: hourlyOf(pod),
    storagePerGBMonth: STOPPED_DISK_PRICE,
    upCostPerGB: 0,
    downCostPerGB: 0,
    createdAt: timeOf(pod.createdAt),
    volumes: (pod.mounts?.network ?? []).flatMap((mount) => mount?.volumeId ?? []),
  }
}

/** Running without the port that it is going to have is still starting. */
function phaseOf({ports, ssh, status = ''}: Pod): Phase {
  const phase = Object.hasOwn(PHASES, status) ? (PHASES[status] ?? 'unknown') : 'unknown'
  return phase === 'running' && !ssh?.direct && ports.includes('22/tcp') ? 'starting' : phase
}

/** The vendor's proxy carries an interactive shell only: it is no way in for dumont. */
function endpointsOf({ssh, status}: Pod): readonly Endpoint[] {
  if (!ssh?.direct || status !== 'RUNNING') return []
  const {host, port, username} = ssh.direct
  return [{host, port, user: username, via: 'direct'}]
}

function messageOf({gpu, locked, ports, ssh, status}: Pod): string | undefined {
  const parts = [
    status === 'RUNNING' &&
      !ssh?.direct &&
      (ports.includes('22/tcp')
        ? 'waits for the public port of 22/tcp; without a public IP it never gets one'
        : 'has no direct SSH, only the proxy of RunPod, which carries neither commands nor files: expose 22/tcp'),
    status === 'RUNNING' && gpu?.count === 0 && 'came back without a GPU',
    locked === true && 'is locked against stopping',
  ].filter((part) => part !== false)
  return parts.length === 0 ? undefined : parts.join('; ')
}

function specOf(pod: Pod): Instance['spec'] {
  const {cudaVersion: cuda, gpu, image} = pod
  const persistent = pod.mounts?.persistent
  const region = regionOf(pod)
  return {
    gpuName: gpu?.id ?? '',
    gpuCount: gpu?.count ?? 0,
    gpuMemoryMB: 0,
    diskGB: (pod.disk ?? 0) + (persistent?.size ?? 0),
    ports: pod.ports,
    envNames: pod.env.filter((name) => !VENDOR_NAMES.has(name)),
    market: {kind: 'on-demand'},
    ...(persistent?.size !== undefined &&
      persistent.path !== undefined && {volume: {sizeGB: persistent.size, path: persistent.path}}),
    ...(gpu?.memory !== undefined && {memoryMB: gpu.memory * 1000}),
    ...(gpu?.vcpuCount !== undefined && {cores: gpu.vcpuCount}),
    ...(cuda !== undefined && {cuda}),
    ...(image !== undefined && {image}),
    ...(region !== undefined && {region}),
  }
}

/** Community hosts are told apart, so that nothing is woken on hardware that is trusted less. */
function regionOf({cloud, dataCenterId}: Pod): string | undefined {
  if (cloud !== COMMUNITY) return dataCenterId
  return dataCenterId === undefined ? COMMUNITY : `${COMMUNITY}/${dataCenterId}`
}

/** The vendor says 0 for a stopped pod, whose volume goes on costing. */
function hourlyOf({cost, mounts, status}: Pod): number | undefined {
  return status === 'EXITED'
    ? ((mounts?.persistent?.size ?? 0) * STOPPED_DISK_PRICE) / MONTH_HOURS
    : cost
}

function timeOf(moment: string | undefined): number | undefined {
  const time = Date.parse(moment ?? '')
  return Number.isNaN(time) ? undefined : time
}
