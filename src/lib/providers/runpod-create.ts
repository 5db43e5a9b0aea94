import type {CreateRequest, Spec} from './provider.js'
import {leastCuda, type RunpodPlace} from './runpod-offers.js'

/** Below this the vendor's images have no room to start in. */
const LEAST_DISK_GB = 20
const LEAST_VOLUME_GB = 10

/** The body that rents a pod; `publicKeys` are all that shall be able to log in. */
export function podRequest(
  {dataCenter, cloud, gpuId}: RunpodPlace,
  {env, label, spec}: CreateRequest,
  publicKeys: readonly string[],
): Record<string, unknown> {
  const ports = spec.ports.filter((port) => /^\d{1,5}\/(?:http|tcp)$/u.test(port))
  return {
    name: label,
    cloud,
    gpu: gpuRequest(gpuId, spec),
    ...storageRequest(spec),
    ports: [...new Set([...ports, '22/tcp'])],
    startSsh: true,
    env: {...env, PUBLIC_KEY: publicKeys.join('\n')},
    ...(spec.image !== undefined && {image: spec.image}),
    ...(spec.templateId !== undefined && {templateId: spec.templateId}),
    ...(dataCenter !== undefined && {dataCenterIds: [dataCenter]}),
  }
}

/** Least memory and cores are asked for by the GPU, and a little below what was there: hosts differ. */
function gpuRequest(id: string, spec: Spec): Record<string, unknown> {
  const {cores, gpuCount, memoryMB} = spec
  const cuda = leastCuda(spec)
  const memory = Math.floor(((memoryMB ?? 0) * 0.98) / 1000 / gpuCount)
  const share = Math.floor((cores ?? 0) / gpuCount)
  return {
    id,
    count: gpuCount,
    ...(cuda !== undefined && {minCudaVersion: cuda}),
    ...(memory >= 1 && {minRamPerGpu: memory}),
    ...(share >= 1 && {minVcpuCountPerGpu: share}),
  }
}

function storageRequest({diskGB, volume}: Spec): Record<string, unknown> {
  const disk = Math.ceil(Math.max(LEAST_DISK_GB, diskGB - (volume?.sizeGB ?? 0)))
  if (!volume) return {disk}
  const size = Math.max(LEAST_VOLUME_GB, Math.ceil(volume.sizeGB))
  return {disk, mounts: {persistent: {size, path: volume.path}}}
}
