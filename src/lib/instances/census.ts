import {DumontError} from '../errors.js'
import {findArgument, findPattern, isAtOrBelow, placeOf, shownPlace} from './box-places.js'
import {toolRecords} from './tool-records.js'
import {failed, type BoxTools} from './box-tools.js'
import type {CensusPath} from './census-finding.js'
import type {CoverageLedger} from './coverage-ledger.js'
import type {Birth} from './instance-birth.js'
import {type BoxMount, fateOf, parseMounts} from './mount-fates.js'

export async function boxMounts(
  tools: BoxTools,
  signal?: AbortSignal,
): Promise<readonly BoxMount[]> {
  const {code, stderr, stdout} = await tools.exec(
    ['cat', '/proc/self/mountinfo'],
    signal ? {signal} : {},
  )
  if (code !== 0) throw failed(tools, 'cat', code, stderr)
  return parseMounts(Buffer.from(stdout))
}

export interface CensusScope {
  readonly mounts: readonly BoxMount[]
  readonly birth: Birth
  /** Latin-1 text. */
  readonly roots: readonly string[]
  /** Mount points below a root whose files the snapshot holds. */
  readonly saved: ReadonlySet<string>
  readonly survives: readonly string[]
  /** In place of the birth, and on every mount: only what changed after this counts. Seconds by the box's clock. */
  readonly after?: number
}

/** What a census saw outside the roots, besides what it wrote into the ledger. */
export interface OutsideCensus {
  readonly scanned: number
  /** Goes with the instance because it is memory; told, not refused. */
  readonly ephemeral: readonly CensusPath[]
  /** Stays, and is billed by whoever keeps it. */
  readonly surviving: readonly string[]
}

/**
 * Lists every file outside the roots that changed since the instance was made, mount by mount as the kernel's table has
 * them (device numbers do not tell bind mounts apart), and enters it into the ledger.
 */
export async function censusOutside(
  tools: BoxTools,
  scope: CensusScope,
  ledger: CoverageLedger,
  signal?: AbortSignal,
): Promise<OutsideCensus> {
  const ephemeral: CensusPath[] = []
  const surviving: string[] = []
  let scanned = 0
  for (const mount of scope.mounts) {
    const fate = fateOf(mount, {contained: scope.birth.contained, survives: scope.survives})
    if (fate === 'survives') surviving.push(shownPlace(mount.point))
    if (isCounted(mount.point, scope) || (fate !== 'disk' && fate !== 'ephemeral')) continue
    const sum = {bytes: 0, files: 0}
    for await (const [place, bytes] of changedFiles(tools, {mount, scope, fate}, signal)) {
      scanned += 1
      sum.files += 1
      sum.bytes += bytes
      if (fate === 'disk') ledger.take(place, bytes)
    }
    if (fate === 'ephemeral' && sum.files > 0)
      ephemeral.push({...sum, path: shownPlace(mount.point), reason: mount.type})
  }
  return {ephemeral, scanned, surviving}
}

/** Files of this mount count from here on. What was there before a container was made can only be in its image. */
export function countsFrom(
  mount: BoxMount | undefined,
  {after, birth}: Pick<CensusScope, 'after' | 'birth'>,
): number {
  if (after !== undefined) return after
  return mount?.point === '/' ? birth.since : 0
}

export function mountHolding(mounts: readonly BoxMount[], place: string): BoxMount | undefined {
  return mounts
    .filter(({point}) => isAtOrBelow(place, point))
    .toSorted((one, other) => other.point.length - one.point.length)[0]
}

/** Whether the comparison with the index looks at all of it. */
function isCounted(point: string, {roots, saved}: CensusScope): boolean {
  return roots.includes(point) || saved.has(point)
}

async function* changedFiles(
  tools: BoxTools,
  {mount, scope, fate}: {mount: BoxMount; scope: CensusScope; fate: string},
  signal?: AbortSignal,
): AsyncGenerator<readonly [place: string, bytes: number], void> {
  const {mounts, roots} = scope
  const inside = (place: string) => place !== mount.point && isAtOrBelow(place, mount.point)
  const apart = [...mounts.map(({point}) => point), ...roots].filter(inside)
  const since = fate === 'disk' ? countsFrom(mount, scope) : 0
  const young = since > 0 ? ['-newerct', `@${scope.after ?? Math.floor(since)}`] : []
  const files = ['(', '-type', 'f', '-o', '-type', 'l', ')', ...young]
  const look = ['find', findArgument(mount.point), '-ignore_readdir_race', ...pruned(apart)]
  const argv = [...look, ...files, '-printf', String.raw`%s\0%p\0`]
  const own = new Set(apart)
  for await (const [size, path] of toolRecords(tools, argv, {width: 2}, signal)) {
    const place = placeOf(path as Buffer)
    const bytes = Number(size?.toString('latin1'))
    if (!isAtOrBelow(place, mount.point) || !Number.isSafeInteger(bytes) || bytes < 0)
      throw new DumontError('WORKER', 'find on the box answers with what it was not asked')
    // A mount point or root that is a file is not pruned.
    if (!own.has(place)) yield [place, bytes]
  }
}

function pruned(places: readonly string[]): readonly string[] {
  if (places.length === 0) return []
  const tests = places.flatMap((place) => ['-o', '-path', findPattern(place)]).slice(1)
  return ['(', '-type', 'd', '(', ...tests, ')', '-prune', ')', '-o']
}
