import {isSameGpu} from './gpu-name.js'
import type {Offer, SearchOptions, Spec} from './provider.js'

/** Hosts reserve a little of a GPU's memory, each its own share. */
const MEMORY_SHARE = 0.98

/**
 * Why an offer is not what was asked for, in words that complete "the offer …"; undefined when it is. A vendor's own search is not
 * relied on: rows that do not match have been seen.
 */
export function offerMismatch(
  {hourly, machine, spec}: Offer,
  wanted: Spec,
  {avoidMachines = [], maxHourly}: SearchOptions = {},
): string | undefined {
  if (!isSameGpu(spec.gpuName, wanted.gpuName))
    return `has ${spec.gpuName || 'no GPU'}, not ${wanted.gpuName}`
  if (spec.gpuCount !== wanted.gpuCount) return `has ${spec.gpuCount} GPUs, not ${wanted.gpuCount}`
  if (spec.market.kind !== wanted.market.kind) return `is ${spec.market.kind}`
  const short = shortages(spec, wanted).find(({has, needs}) => has < needs)
  if (short) return `has ${short.has} ${short.what}, not ${short.needs}`
  if (wanted.cuda !== undefined && !runsCuda(spec.cuda, wanted.cuda))
    return `runs CUDA ${spec.cuda}, not ${wanted.cuda}`
  if (wanted.region !== undefined && !isInRegion(spec.region, wanted.region))
    return `is in ${spec.region ?? 'an unknown region'}, not ${wanted.region}`
  if (machine !== undefined && avoidMachines.includes(machine)) return 'is a machine to avoid'
  if (!Number.isFinite(hourly) || hourly < 0) return 'has no price'
  if (maxHourly !== undefined && hourly > maxHourly) return `costs ${hourly} an hour`
  return undefined
}

/**
 * Whether a host whose driver runs up to `has` can run programs made for `needs`: within one major version any minor will do.
 * What a vendor does not tell is left to the check on the box.
 */
export function runsCuda(has: string | undefined, needs: string): boolean {
  const [hasMajor, needsMajor] = [majorOf(has), majorOf(needs)]
  return hasMajor === undefined || needsMajor === undefined || hasMajor >= needsMajor
}

/** Regions nest: `US-TX-3` and `Texas, US` are both in `US`. */
export function isInRegion(region: string | undefined, wanted: string): boolean {
  if (region === undefined) return false
  const [place, wide] = [region.trim().toLowerCase(), wanted.trim().toLowerCase()]
  return (
    place === wide ||
    place.startsWith(`${wide}-`) ||
    place.startsWith(`${wide}/`) ||
    place.endsWith(`, ${wide}`)
  )
}

/** What counts. What a vendor does not tell is not short, what was not asked for is not needed. */
function shortages(spec: Spec, wanted: Spec) {
  return [
    amount('MB of GPU memory', spec.gpuMemoryMB || undefined, wanted.gpuMemoryMB * MEMORY_SHARE),
    amount('GB of disk', spec.diskGB, wanted.diskGB),
    amount('MB of memory', spec.memoryMB, (wanted.memoryMB ?? 0) * MEMORY_SHARE),
    amount('cores', spec.cores, wanted.cores),
  ]
}

function amount(what: string, has: number | undefined, needs: number | undefined) {
  return {what, has: has ?? Number.POSITIVE_INFINITY, needs: needs ?? 0}
}

function majorOf(version: string | undefined): number | undefined {
  const digits = /^\d{1,4}/u.exec(version ?? '')?.[0]
  return digits === undefined ? undefined : Number(digits)
}
