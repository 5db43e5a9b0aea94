import type {Fields} from '../vast/reply.js'
import {fieldsOf} from '../fake-vendor.js'

const KNOWN = [
  'name',
  'cloud',
  'gpu',
  'disk',
  'mounts',
  'ports',
  'startSsh',
  'startJupyter',
  'env',
  'image',
  'templateId',
  'dataCenterIds',
  'args',
  'registry',
  'cpu',
  'globalNetworking',
]
const GPU = [
  'id',
  'count',
  'minCudaVersion',
  'allowedCudaVersions',
  'minRamPerGpu',
  'minVcpuCountPerGpu',
]

/** Why the vendor's schema refuses the body of a create; undefined when it does not. */
export function podRequestMistake(body: Fields): string | undefined {
  const {
    cloud = 'SECURE',
    dataCenterIds = [],
    disk = 20,
    env = {},
    image,
    name,
    ports = [],
    templateId,
  } = body
  const gpu = fieldsOf(body['gpu'])
  const {count = 1, minCudaVersion = '12.0', minRamPerGpu = 1, minVcpuCountPerGpu = 1} = gpu
  const checks: readonly (readonly [boolean, string])[] = [
    [unknownIn(body, KNOWN), 'unknown property'],
    [typeof name !== 'string' || name === '', 'name'],
    [image === undefined && templateId === undefined, 'image is required'],
    [!['COMMUNITY', 'SECURE'].includes(String(cloud)), 'cloud'],
    [typeof gpu['id'] !== 'string' || unknownIn(gpu, GPU), 'gpu'],
    [!isCount(count) || !isCount(minRamPerGpu) || !isCount(minVcpuCountPerGpu), 'gpu counts'],
    [!/^\d+\.\d+$/u.test(String(minCudaVersion)), 'gpu.minCudaVersion'],
    [!isCount(disk), 'disk'],
    [!isTexts(ports, /^\d+\/(?:http|tcp)$/u), 'ports'],
    [!isTexts(dataCenterIds, /^[A-Z0-9-]+$/u), 'dataCenterIds'],
    [!isTexts(Object.values(fieldsOf(env)), /^/u), 'env'],
    [!isStorage(fieldsOf(body['mounts'])), 'mounts'],
  ]
  return checks.find(([isWrong]) => isWrong)?.[1]
}

function unknownIn(fields: Fields, known: readonly string[]): boolean {
  return Object.keys(fields).some((key) => !known.includes(key))
}

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 1
}

function isTexts(value: unknown, form: RegExp): boolean {
  return Array.isArray(value) && value.every((one) => typeof one === 'string' && form.test(one))
}

function isStorage(mounts: Fields): boolean {
  if (mounts['persistent'] === undefined) return true
  const {path, size} = fieldsOf(mounts['persistent'])
  return Number.isInteger(size) && Number(size) >= 10 && typeof path === 'string'
}
