import {DumontError} from '../errors.js'
import {textOf, type BoxTools} from './box-tools.js'
import type {BoxMount} from './mount-fates.js'

/** Since when files of the instance count as its own, and how that is known. */
export interface Birth {
  /** Seconds since the epoch by the box's clock; 0 when nothing tells, so that every file counts. */
  readonly since: number
  readonly contained: boolean
  readonly evidence: string
}

const CONTAINER_MARKS = ['/.dockerenv', '/run/.containerenv']
/** Made by the engine for each container, and told from an image's files by being mounts. */
const ENGINE_FILES = ['/etc/hostname', '/etc/hosts', '/etc/resolv.conf']
const MAX_SKEW_S = 600
/** Images of virtual machines are older than any instance made of them by more than clocks differ. */
const MARGIN_S = 3600
/** Coarse kernel clocks stamp a little early. */
const TICK_S = 2

/**
 * The moment the instance was made. From inside a container the image cannot be told from what was written since, except
 * by change times, which nobody can set back: so the oldest of all signs is taken, a file's earliest time each.
 */
export async function instanceBirth(
  tools: BoxTools,
  {
    createdAt,
    mounts,
    now,
  }: {createdAt: number | undefined; mounts: readonly BoxMount[]; now: number},
  signal?: AbortSignal,
): Promise<Birth> {
  const options = signal ? {signal} : {}
  const clock = Number((await textOf(tools, ['date', '+%s'], options)).trim())
  if (!Number.isSafeInteger(clock) || Math.abs(clock - now / 1000) > MAX_SKEW_S)
    throw new DumontError('CLOCK_SKEW', "the box's clock is more than ten minutes off", {
      hint: 'set the clock of the box: its files cannot be told by age otherwise',
    })
  const points = new Set(mounts.map(({point}) => point))
  const places = [...CONTAINER_MARKS, ...ENGINE_FILES.filter((place) => points.has(place))]
  const stat = ['stat', '-c', '%W %Y %Z', '--', ...places]
  const times = earliest(await textOf(tools, stat, {...options, allowed: [0, 1]}))
  const root = mounts.find(({point}) => point === '/')
  const contained = times !== undefined || root?.type === 'overlay'
  if (times !== undefined) {
    if (times > clock) throw new DumontError('WORKER', 'the box shows files of the future')
    const since = Math.min(times, (await firstProcess(tools, clock, options)) ?? times)
    return {contained, evidence: 'files of the container engine', since: since - TICK_S}
  }
  if (!contained && createdAt !== undefined)
    return {
      contained,
      evidence: "the vendor's time of creation",
      since: createdAt / 1000 - MARGIN_S,
    }
  return {contained, evidence: 'nothing: every file counts', since: 0}
}

function earliest(text: string): number | undefined {
  const times = text
    .split(/\s+/)
    .map(Number)
    // 0 and `?` stand for a birth that the file system does not keep.
    .filter((time) => Number.isSafeInteger(time) && time > 0)
  return times.length === 0 ? undefined : Math.min(...times)
}

/** When process 1 began, seconds since the epoch: a container is never younger than that. */
async function firstProcess(
  tools: BoxTools,
  clock: number,
  options: {readonly signal?: AbortSignal},
): Promise<number | undefined> {
  const stat = await textOf(tools, ['cat', '/proc/1/stat', '/proc/uptime'], options)
  const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
  const uptime = Number.parseFloat(stat.trim().split('\n').at(-1) ?? '')
  const began = clock - uptime + ticks / 100
  return Number.isFinite(began) ? Math.floor(began) : undefined
}
