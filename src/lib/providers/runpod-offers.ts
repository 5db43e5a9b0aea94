import * as v from 'valibot'
import {isSameGpu} from './gpu-name.js'
import {offerMismatch} from './offer-match.js'
import type {Offer, SearchOptions, Spec} from './provider.js'
import {COMMUNITY, DISK_PRICE} from './runpod-pod.js'
import {lenient, told} from './told.js'

const {number, text} = told

export const catalogSchema = v.object({
  gpus: v.array(
    v.object({
      id: v.pipe(v.string(), v.minLength(1), v.maxLength(200)),
      name: text,
      memory: number,
      price: lenient(v.object({secure: number, community: number})),
      availability: text,
      dataCenters: v.fallback(v.array(lenient(v.object({id: text, availability: text}))), []),
    }),
  ),
})

type Gpu = v.InferOutput<typeof catalogSchema>['gpus'][number]

/** Where an offer is, as `create` needs it; it is the offer's id. */
export interface RunpodPlace {
  readonly cloud: 'COMMUNITY' | 'SECURE'
  readonly dataCenter: string | undefined
  readonly gpuId: string
}

/** Data centres of the vendor, unless the old pod was on a community host. */
export function cloudOf({region}: Spec): RunpodPlace['cloud'] {
  return region === COMMUNITY || region?.startsWith(`${COMMUNITY}/`) === true ? COMMUNITY : 'SECURE'
}

/** What the host must run at least: within one major version any minor will do. */
export function leastCuda({cuda}: Spec): string | undefined {
  const major = /^\d{1,3}/u.exec(cuda ?? '')?.[0]
  return major === undefined ? undefined : `${major}.0`
}

export function runpodOffers(
  {gpus}: v.InferOutput<typeof catalogSchema>,
  wanted: Spec,
  options?: SearchOptions,
): readonly Offer[] {
  return gpus
    .filter(({id, name = id}) => [id, name].some((one) => isSameGpu(one, wanted.gpuName)))
    .flatMap((gpu) => placesOf(gpu, wanted).map((place) => offerAt(gpu, place, wanted)))
    .filter((offer) => offerMismatch(offer, wanted, options) === undefined)
}

export function parsePlace(id: string): RunpodPlace | undefined {
  const match = /^(COMMUNITY|SECURE)\/([^/]*)\/(.+)$/u.exec(id)
  if (!match) return undefined
  const [, cloud, dataCenter, gpuId = ''] = match
  return {cloud: cloud as RunpodPlace['cloud'], dataCenter: dataCenter || undefined, gpuId}
}

/** One for each data centre with something left; one for anywhere when the vendor does not tell which. */
function placesOf(gpu: Gpu, wanted: Spec): readonly RunpodPlace[] {
  const place = (dataCenter: string | undefined) => ({
    cloud: cloudOf(wanted),
    dataCenter,
    gpuId: gpu.id,
  })
  const open = gpu.dataCenters.filter(
    (center) => center?.id !== undefined && isLeft(center.availability),
  )
  if (open.length > 0) return open.map((center) => place(center?.id))
  return isLeft(gpu.availability) && gpu.dataCenters.length === 0 ? [place(undefined)] : []
}

function isLeft(availability: string | undefined): boolean {
  return availability !== undefined && availability !== 'NONE'
}

/** Memory and cores are asked for at create, where the vendor picks the host. */
function offerAt(gpu: Gpu, {cloud, dataCenter, gpuId}: RunpodPlace, wanted: Spec): Offer {
  const each = (cloud === COMMUNITY ? gpu.price?.community : gpu.price?.secure) ?? Number.NaN
  const {cores: _cores, cuda: _cuda, memoryMB: _memory, region: _region, ...rest} = wanted
  const region = [...(cloud === COMMUNITY ? [COMMUNITY] : []), ...(dataCenter ? [dataCenter] : [])]
  return {
    id: `${cloud}/${dataCenter ?? ''}/${gpuId}`,
    machine: undefined,
    spec: {
      ...rest,
      gpuName: wanted.gpuName,
      // GB of memory are told as they are printed on the box: 2^30 bytes.
      gpuMemoryMB: (gpu.memory ?? 0) * 1024,
      ...(region.length > 0 && {region: region.join('/')}),
    },
    hourly: each * wanted.gpuCount + (wanted.diskGB * DISK_PRICE) / 720,
    storagePerGBMonth: DISK_PRICE,
    upCostPerGB: 0,
    downCostPerGB: 0,
    downMbps: undefined,
    upMbps: undefined,
    reliability: undefined,
  }
}
