import type {IndexLine} from '../format/index-reader.js'
import type {Manifest} from '../format/manifest.js'
import {readPacks, readStoredIndex} from '../snapshots/stored-index.js'
import {isAtOrBelow, joined, placeOf} from './box-places.js'
import type {BoxTools} from './box-tools.js'
import {boxMounts, censusOutside, type CensusScope} from './census.js'
import {CoverageLedger} from './coverage-ledger.js'
import {censusFindings, comparisonFindings, sampleFindings, type Proof} from './disk-findings.js'
import {compareDisk, factsOf} from './disk-census.js'
import {compareSample} from './disk-sample.js'
import {EntryTable} from './entry-table.js'
import {instanceBirth} from './instance-birth.js'
import {packageFiles} from './package-files.js'
import type {ReceiptRequest, ReceiptService} from './receipt-terms.js'
import {SampleChoice} from './sample-choice.js'
import {proveWhole} from './snapshot-proof.js'

interface DiskQuestion {
  readonly manifest: Manifest
  readonly tools: BoxTools
  readonly request: Pick<ReceiptRequest, 'discard' | 'instance' | 'sample' | 'survives'>
  /** Bytes that may still be read from the store. */
  readonly left: number
}

const STRETCH = 4_194_304
/** Read even of a small share, so that a sample is one. */
const LEAST = 16 * STRETCH
const MOST_FILES = 1024
const PACKAGES = 'installed by packages, unchanged: can be installed again'

/**
 * Counts the whole instance with the box's own tools: below the roots against the index, outside them against the time the
 * instance was made; and compares a sample of contents with the store.
 */
export async function proveDisk(
  {clock, random, store}: ReceiptService,
  {left, manifest, request, tools}: DiskQuestion,
  signal?: AbortSignal,
): Promise<Proof> {
  const packs = await readPacks(store, manifest, signal)
  const lines = () => readStoredIndex(store, manifest, packs, signal)
  const mounts = await boxMounts(tools, signal)
  const birth = await instanceBirth(
    tools,
    {createdAt: request.instance.createdAt, mounts, now: clock.now()},
    signal,
  )
  const roots = manifest.roots.map(({path}) => placeOf(path))
  const fraction = () => Buffer.from(random(6)).readUIntBE(0, 6) / 2 ** 48
  const limit = Math.min(left, Math.max(LEAST, request.sample * manifest.bytes.raw))
  const choice = new SampleChoice(fraction, Math.min(MOST_FILES, Math.ceil(limit / STRETCH) + 16))
  const table = new EntryTable(manifest.index.entries)
  const saved = await load(lines(), {choice, points: mounts.map(({point}) => point), roots, table})
  const scope: CensusScope = {birth, mounts, roots, saved, survives: request.survives}
  const ledger = new CoverageLedger(request.discard.map(givenPlace))
  const comparison = await compareDisk(tools, scope, {ledger, lines, table}, signal)
  const outside = await censusOutside(tools, scope, ledger, signal)
  if (ledger.doubtful.size > 0)
    ledger.excuse((await packageFiles(tools, ledger.doubtful, signal)).intact, PACKAGES)
  const pieces = choice.pieces()
  const sample = await compareSample(tools, {lines, packs, roots, store}, {limit, pieces}, signal)
  const whole = await proveWhole(manifest, lines())
  const proofs = [
    censusFindings(ledger, outside, birth),
    comparisonFindings(comparison, manifest),
    sampleFindings(sample, pieces.length),
  ]
  return {
    checks: proofs.flatMap(({checks}) => checks),
    refusals: [...proofs.flatMap(({refusals}) => refusals), ...whole],
  }
}

function givenPlace(path: string): string {
  return placeOf(Buffer.from(path, 'utf8'))
}

/** Enters the index into the table; gives the mount points whose files it holds. */
async function load(
  lines: AsyncIterable<IndexLine>,
  {
    choice,
    points,
    roots,
    table,
  }: {
    readonly choice: SampleChoice
    readonly points: readonly string[]
    readonly roots: readonly string[]
    readonly table: EntryTable
  },
): Promise<ReadonlySet<string>> {
  const open = new Set(points.filter((point) => roots.some((root) => isBelow(point, root))))
  const saved = new Set<string>()
  for await (const line of lines) {
    if (line.sort === 'chunk') continue
    const {entry} = line
    const path = placeOf(entry.path)
    table.enter(entry.root, path, factsOf(entry))
    choice.offer(entry)
    if (open.size === 0) continue
    const place = joined(roots[entry.root] ?? '/', path)
    for (const point of open) if (isBelow(place, point) && saved.add(point)) open.delete(point)
  }
  return saved
}

function isBelow(place: string, directory: string): boolean {
  return place !== directory && isAtOrBelow(place, directory)
}
