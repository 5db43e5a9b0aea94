import type {Manifest} from '../format/manifest.js'
import type {Attempt} from './create-attempt.js'
import type {BoxWarning} from './box-warnings.js'
import {forecast, type CodecForecast} from './codec-forecast.js'

/** What became of a create; the JSON answer of the command. */
export interface SnapshotSummary {
  /** Absent after a dry run. */
  readonly id?: string
  readonly lineage: string
  readonly label: string
  readonly sequence?: number
  readonly parent: string | null
  readonly files: number
  readonly rawBytes: number
  /** Raw bytes of content that no earlier snapshot had. */
  readonly newBytes: number
  /** What was stored for it. */
  readonly storedBytes: number
  /** Of the new content, what was stored as differences: raw, so, and about what it would take alone. */
  readonly delta?: Manifest['bytes']['delta']
  /** Groups of packs and of the index, bytes that were sent for them, and packs that are in none. Absent without any group. */
  readonly parity?: {
    readonly groups: number
    readonly kept: number
    readonly bytes: number
    readonly unprotected: number
  }
  readonly seconds: number
  readonly counts: Manifest['counts']
  readonly warnings: {
    readonly count: number
    readonly byCode: Readonly<Record<string, number>>
    readonly first: readonly BoxWarning[]
  }
  /** What was left out on purpose, by reason. */
  readonly notes: Readonly<Record<string, number>>
  /** How many of it, and the bytes they would have been. */
  readonly leftOut: Attempt['result']['leftOut']
  /** Packs of an interrupted run that were not sent again. */
  readonly reusedPacks: number
  readonly skippedMounts: Manifest['rules']['skippedMounts']
  /** Something torn, unreadable or on a skipped mount: exit code 3. */
  readonly incomplete: boolean
  readonly dryRun: boolean
  /** Whether it can only be read with an NVIDIA GPU; absent after a dry run. */
  readonly needsGpu?: boolean
  /** What `--codec auto` took, or would take, and why in one line. */
  readonly codec?: Attempt['result']['choice']
  /** Dry run: what each codec makes of a sample of the data. */
  readonly sample?: readonly CodecForecast[]
  /** Dry run: bytes a second that the box sends; absent where no create has told yet. */
  readonly uplink?: number
}

/** Joins what was committed, or of a dry run what the worker found, into the answer. */
export function summaryOf(made: {
  readonly attempt: Attempt
  readonly manifest?: Manifest
  readonly label: string
  readonly lineage: string
  readonly seconds: number
}): SnapshotSummary {
  const {attempt, label, lineage, manifest, seconds} = made
  const {result, warnings} = attempt
  const counts = manifest?.counts ?? result.counts
  const bytes = manifest?.bytes ?? result.bytes
  return {
    ...(manifest ? {id: manifest.id, sequence: manifest.sequence} : {}),
    lineage,
    label,
    parent: manifest?.parent?.id ?? null,
    files: counts.files,
    rawBytes: bytes.raw,
    newBytes: bytes.new,
    storedBytes: bytes.stored,
    ...(bytes.delta && {delta: bytes.delta}),
    ...parityOf(attempt, bytes.parity),
    seconds,
    counts,
    warnings: {count: warnings.count, byCode: result.warnings, first: warnings.first},
    notes: result.notes,
    leftOut: result.leftOut,
    reusedPacks: result.reusedPacks,
    skippedMounts: result.skippedMounts,
    incomplete: counts.torn > 0 || counts.unreadable > 0 || result.skippedMounts.length > 0,
    dryRun: manifest === undefined,
    ...(manifest && {needsGpu: manifest.nvidia !== null}),
    ...(result.choice && {codec: result.choice}),
    ...(result.sample && {sample: result.sample.map((row) => forecast(row, result))}),
    ...(result.uplink !== undefined && {uplink: result.uplink}),
  }
}

function parityOf({checked}: Attempt, bytes = 0): Pick<SnapshotSummary, 'parity'> {
  if (!checked) return {}
  const {kept, made, unprotected} = checked.groups
  const groups = kept.length + made.length
  return groups === 0 ? {} : {parity: {groups, kept: kept.length, bytes, unprotected}}
}
