import {DumontError} from '../errors.js'
import type {Entry, EntryKind} from '../format/entry.js'
import type {IndexLine} from '../format/index-reader.js'
import {findArgument, findPattern, isAtOrBelow, joined, placeOf, shownPlace} from './box-places.js'
import type {BoxTools} from './box-tools.js'
import {countsFrom, mountHolding, type CensusScope} from './census.js'
import type {CoverageLedger} from './coverage-ledger.js'
import type {DiskFacts, EntryTable} from './entry-table.js'
import {toolRecords} from './tool-records.js'

/** How the disk below the roots compares with the index. */
export interface DiskComparison {
  readonly files: number
  readonly dirs: number
  readonly symlinks: number
  readonly others: number
  /** Of files, as listed by the box. */
  readonly bytes: number
  readonly changed: Differences
  readonly vanished: Differences
}

/** Paths for showing; the first hundred. */
export interface Differences {
  readonly count: number
  readonly first: readonly string[]
}

const SHOWN = 100
const KINDS: Readonly<Record<string, EntryKind>> = {
  b: 'block',
  c: 'char',
  d: 'dir',
  f: 'file',
  l: 'symlink',
  p: 'fifo',
}
const FORMAT = String.raw`%y\0%m\0%U\0%G\0%s\0%T@\0%C@\0%P\0%l\0`

/**
 * Lists everything below the roots with the box's own `find` and compares it with the index (type, mode, owner, size, time of
 * change, target). What is in no entry goes to the ledger when it is younger than the instance: excluded, ignored, or new.
 */
export async function compareDisk(
  tools: BoxTools,
  scope: CensusScope,
  {
    ledger,
    lines,
    table,
  }: {
    readonly ledger: CoverageLedger
    readonly table: EntryTable
    /** Reads the index once more, to name what was not found. */
    readonly lines: () => AsyncIterable<IndexLine>
  },
  signal?: AbortSignal,
): Promise<DiskComparison> {
  const tally = {bytes: 0, dirs: 0, files: 0, others: 0, symlinks: 0}
  const changed = new Listed()
  for (const [root, place] of scope.roots.entries()) {
    for await (const found of listed(tools, {place, scope}, signal)) {
      const path = joined(place, found.path)
      const kind = KINDS[found.type]
      const outcome = kind ? table.look(root, found.path, {...found, kind}) : 'none'
      if (outcome === 'again') throw strange()
      if (outcome === 'other') changed.add(path)
      if (outcome === 'none' && isContent(found.type)) {
        const since = countsFrom(mountHolding(scope.mounts, path), scope)
        if (found.ctime >= since) ledger.take(path, found.size)
      }
      if (kind && outcome !== 'none') count(tally, kind, found.size)
    }
  }
  const vanished = new Listed()
  for await (const line of lines())
    if (line.sort === 'entry' && !table.wasSeen(line.entry.root, placeOf(line.entry.path)))
      vanished.add(joined(scope.roots[line.entry.root] ?? '/', placeOf(line.entry.path)))
  return {...tally, changed, vanished}
}

export function factsOf(entry: Entry): DiskFacts {
  const {gid, kind, mode, mtime, size, target, uid} = entry
  return {gid, kind, mode, mtime, size, target: target ? placeOf(target) : '', uid}
}

class Listed implements Differences {
  count = 0
  readonly first: string[] = []

  add(place: string): void {
    this.count += 1
    if (this.first.length < SHOWN) this.first.push(shownPlace(place))
  }
}

interface Listing extends Omit<DiskFacts, 'kind'> {
  readonly type: string
  readonly path: string
  /** Seconds. */
  readonly ctime: number
}

async function* listed(
  tools: BoxTools,
  {place, scope}: {place: string; scope: CensusScope},
  signal?: AbortSignal,
): AsyncGenerator<Listing, void> {
  const apart = scope.mounts
    .map(({point}) => point)
    .filter((point) => point !== place && isAtOrBelow(point, place) && !scope.saved.has(point))
  const tests = apart.flatMap((point) => ['-o', '-path', findPattern(point)]).slice(1)
  const prune = apart.length > 0 ? ['(', ...tests, ')', '-prune'] : []
  const argv = ['find', findArgument(place), '-ignore_readdir_race', '-printf', FORMAT, ...prune]
  for await (const record of toolRecords(tools, argv, {width: 9}, signal)) {
    const found = parse(record)
    // A file that is a mount of its own is the other census's.
    if (found.type === 'd' || !apart.includes(joined(place, found.path))) yield found
  }
}

function parse(record: readonly Buffer[]): Listing {
  const [
    type = '',
    mode = '',
    uid = '',
    gid = '',
    size = '',
    mtime = '',
    ctime = '',
    path = '',
    target = '',
  ] = record.map(placeOf)
  const numbers = [Number.parseInt(mode, 8), Number(uid), Number(gid), Number(size)]
  const [bits = -1, user = -1, group = -1, bytes = -1] = numbers
  if (!/^[0-7]+$/.test(mode) || !numbers.every((one) => Number.isSafeInteger(one) && one >= 0))
    throw strange()
  return {
    ctime: Number.parseFloat(ctime),
    gid: group,
    mode: bits,
    mtime: nanoseconds(mtime),
    path,
    size: bytes,
    target,
    type,
    uid: user,
  }
}

/** `find` prints whole seconds and a fraction that always counts upwards. */
function nanoseconds(text: string): bigint {
  const [, seconds, fraction = ''] = /^(-?\d+)(?:\.(\d+))?$/.exec(text) ?? []
  if (seconds === undefined) throw strange()
  return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9))
}

function isContent(type: string): boolean {
  return type === 'f' || type === 'l'
}

function count(
  tally: {bytes: number; dirs: number; files: number; others: number; symlinks: number},
  kind: EntryKind,
  bytes: number,
): void {
  if (kind === 'dir') tally.dirs += 1
  else if (kind === 'symlink') tally.symlinks += 1
  else if (kind === 'file') {
    tally.files += 1
    tally.bytes += bytes
  } else tally.others += 1
}

function strange(): DumontError {
  return new DumontError('WORKER', 'find on the box answers with what it was not asked')
}
