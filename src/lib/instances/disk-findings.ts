import type {Manifest} from '../format/manifest.js'
import {formatBytes} from '../bytes.js'
import type {OutsideCensus} from './census.js'
import type {CoverageLedger} from './coverage-ledger.js'
import type {Differences, DiskComparison} from './disk-census.js'
import type {SampleResult} from './disk-sample.js'
import type {Birth} from './instance-birth.js'
import type {Check, Refusal} from './receipt-terms.js'

export interface Proof {
  readonly checks: readonly Check[]
  readonly refusals: readonly Refusal[]
}

const SHOWN = 20

export function censusFindings(
  ledger: CoverageLedger,
  {ephemeral, scanned, surviving}: OutsideCensus,
  birth: Birth,
): Proof {
  const {missing} = ledger
  if (missing.files > 0)
    return {
      checks: [],
      refusals: [
        {
          bytes: missing.bytes,
          message: `${missing.files} files (${formatBytes(missing.bytes)}) on the instance are in no snapshot and would be lost`,
          paths: missing.paths(SHOWN),
          remedy:
            'save them (name their directories, --cross-mounts), or give them up with --discard PATH',
          rule: 'census',
        },
      ],
    }
  const allowed = ledger.allowed()
  const figures = {
    allowedBytes: sum(allowed.map(({bytes}) => bytes)),
    allowedFiles: sum(allowed.map(({files}) => files)),
    ephemeralBytes: sum(ephemeral.map(({bytes}) => bytes)),
    scanned,
    since: Math.floor(birth.since),
    surviving: surviving.length,
  }
  const kept = surviving.map((path) => ({
    bytes: 0,
    files: 0,
    path,
    reason: 'survives and is billed',
  }))
  const what = `nothing else has changed since the instance was made (told by ${birth.evidence})`
  const paths = [...allowed, ...ephemeral, ...kept]
  return {checks: [{by: 'box', figures, paths, rule: 'census', what}], refusals: []}
}

export function comparisonFindings(
  {bytes, changed, dirs, files, others, symlinks, vanished}: DiskComparison,
  {counts}: Manifest,
): Proof {
  const refusals = [
    ...differ(changed, 'differ from the snapshot'),
    ...differ(vanished, 'of the snapshot are not on the disk any more'),
  ]
  const found = {dirs, files, others, symlinks}
  const same = (['dirs', 'files', 'others', 'symlinks'] as const).every(
    (name) => found[name] === counts[name],
  )
  if (refusals.length === 0 && !same)
    refusals.push({
      message: 'the box lists other numbers of files than the index holds',
      remedy: 'take the snapshot again',
      rule: 'disk',
    })
  const what =
    "the box's own listing of the roots equals the index (types, modes, owners, sizes, times, targets)"
  const check: Check = {by: 'box', figures: {...found, bytes}, rule: 'disk', what}
  return {checks: refusals.length === 0 ? [check] : [], refusals}
}

export function sampleFindings(
  {bytes, bytesRead, different, files}: SampleResult,
  chosen: number,
): Proof {
  if (different.length > 0)
    return {
      checks: [],
      refusals: [
        {
          message: `${different.length} of ${files} files hold something else on the box than in the store`,
          paths: different.slice(0, SHOWN).map((path) => ({bytes: 0, files: 1, path})),
          remedy:
            'take the snapshot again; if it happens twice, the disk or memory of the box is bad',
          rule: 'disk',
        },
      ],
    }
  const what =
    'files read back from the store and decoded here equal what sha256sum says on the box'
  return {
    checks: [{by: 'operator', figures: {bytes, bytesRead, chosen, files}, rule: 'disk', what}],
    refusals: [],
  }
}

function differ({count, first}: Differences, what: string): Refusal[] {
  if (count === 0) return []
  return [
    {
      message: `${count} entries ${what}`,
      paths: first.slice(0, SHOWN).map((path) => ({bytes: 0, files: 1, path})),
      remedy: 'take the snapshot again when it is quiet (--stop-processes, --freeze)',
      rule: 'disk',
    },
  ]
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}
