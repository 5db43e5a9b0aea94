import {gunzipSync} from 'node:zlib'
import {isDumontError} from '../../src/lib/errors.js'
import {parseManifest} from '../../src/lib/format/manifest.js'
import type {Run} from './run.js'
import type {World} from './model-store.js'

/**
 * What was lost, if anything: an object that a snapshot needs and that is not there as it was stored, or a snapshot that
 * somebody was told of and nobody deleted. The one exception is a manifest that was on its way while more time passed than
 * a commit may take: its create ends with INTEGRITY and names it, or was killed before it could.
 */
export function findLoss(run: Run): string | undefined {
  const {acknowledged, world} = run
  const late = lateIn(run)
  for (const key of world.objects.keys()) {
    const id = /^snapshots\/(.+)\.json$/u.exec(key)?.[1]
    if (id === undefined || late.has(id)) continue
    const damage = damageOf(world, key)
    if (damage !== undefined) return damage
  }
  const missing = acknowledged.find(
    (id) => !isDeletable(run, id) && !world.objects.has(`snapshots/${id}.json`),
  )
  return missing && `${missing} was acknowledged and is gone`
}

/** Objects that the manifest under this key needs and that are gone or others. */
export function damageOf(world: World, key: string): string | undefined {
  const manifest = parseManifest(bytesOf(world, key), key)
  const {groups, packs, segments} = manifest.index
  for (const {key: needed} of [...segments, packs, ...(groups ? [groups] : [])])
    if (!isWhole(world, needed)) return `${key} needs ${needed}`
  const grouped = groups ? groupedIn(world, groups.key) : []
  for (const {key: needed} of [...packsIn(world, packs.key), ...grouped])
    if (!isWhole(world, needed)) return `${key} needs ${needed}`
  return undefined
}

interface Keyed {
  readonly key: string
}

/** Keys in a list of packs. */
export function packsIn(world: World, list: string): Keyed[] {
  return linesIn(world, list).map((line) => line as Keyed)
}

/** Keys of all members and parity objects in a list of groups. */
export function groupedIn(world: World, list: string): Keyed[] {
  return linesIn(world, list).flatMap((line) => {
    const {members, parity} = line as Readonly<Record<'members' | 'parity', readonly Keyed[]>>
    return [...members, ...parity]
  })
}

function linesIn(world: World, list: string): unknown[] {
  const lines = gunzipSync(bytesOf(world, list)).toString('utf8').trimEnd().split('\n').slice(1)
  return lines.map((line) => JSON.parse(line) as unknown)
}

function bytesOf(world: World, key: string): Uint8Array {
  return world.objects.get(key)?.bytes ?? Buffer.alloc(0)
}

function isWhole(world: World, key: string): boolean {
  const held = world.objects.get(key)
  return held !== undefined && held.digest === world.first.get(key)
}

function isDeletable(run: Run, id: string): boolean {
  return run
    .actors()
    .some(({actor: {deletes}}) => deletes === 'any' || deletes?.includes(id) === true)
}

function lateIn(run: Run): ReadonlySet<string> {
  const told = run.failures().flatMap(({error}) => {
    const id = isDumontError(error) && /^(\S+) was committed long after/u.exec(error.message)?.[1]
    return id ? [id] : []
  })
  const killed = run
    .actors()
    .flatMap(({overtaken, state}) => (state === 'killed' && overtaken ? [overtaken] : []))
  return new Set([...told, ...killed])
}
