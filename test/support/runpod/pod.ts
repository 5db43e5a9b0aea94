import {fieldsOf} from '../fake-vendor.js'
import type {Fields} from '../vast/reply.js'

/** How a pod behaves. */
export interface PodScript {
  /** Not found for so long after its creation. */
  readonly hiddenMs?: number
  /** RUNNING after so long; default 60 s. */
  readonly bootMs?: number
  /** The public port of 22/tcp comes so long after RUNNING; default 5 s, Infinity: never. */
  readonly directMs?: number
  /** In place of RUNNING. */
  readonly ends?: string
  /** Still told for so long after its deletion. */
  readonly lingerMs?: number
  /** In place of what the vendor would say. */
  readonly fields?: Fields
}

export interface FakePod {
  readonly id: string
  readonly body: Fields
  readonly createdAt: number
  script: PodScript
  startedAt: number
  stopped: boolean
  deletedAt: number | undefined
  /** What lies outside the volume; stopping wipes it. */
  wiped: boolean
}

/** With fields nobody knows yet, and values of variables, which are secrets. */
export function tellPod(pod: FakePod, now: number): Fields {
  const {body, createdAt, id, script} = pod
  const gpu = {vcpuCount: 8, memory: 62, ...fieldsOf(body['gpu'])}
  const status = statusOf(pod, now)
  const since = now - pod.startedAt - (script.bootMs ?? 60_000)
  const isDirect =
    status === 'RUNNING' &&
    since >= (script.directMs ?? 5000) &&
    (body['ports'] as string[]).includes('22/tcp')
  return {
    id,
    status,
    actions: [],
    args: '',
    registry: null,
    template: null,
    locked: false,
    runtime: null,
    globalNetworking: {enabled: false},
    cloud: 'SECURE',
    dataCenterId: 'US-TX-3',
    cudaVersion: '12.8',
    mounts: {},
    env: {},
    cost: pod.stopped ? 0 : 0.35,
    createdAt: new Date(createdAt).toISOString(),
    startedAt: null,
    quantumState: {entangled: true},
    ...body,
    gpu,
    ssh: {
      proxy: {host: 'ssh.runpod.io', port: 22, username: `${id}-64411eb2`, command: 'ssh …'},
      direct: isDirect
        ? {host: '203.0.113.7', port: 22_001, username: 'root', command: 'ssh …'}
        : null,
    },
    ...script.fields,
  }
}

function statusOf({deletedAt, script, startedAt, stopped}: FakePod, now: number): string {
  if (deletedAt !== undefined) return 'TERMINATED'
  if (stopped) return 'EXITED'
  const age = now - startedAt
  const boot = script.bootMs ?? 60_000
  if (age >= boot) return script.ends ?? 'RUNNING'
  return age >= boot / 3 ? 'STARTING' : 'PROVISIONING'
}
