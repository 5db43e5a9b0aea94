import {formatBytes} from '../lib/bytes.js'
import type {SnapshotSummary} from '../lib/snapshots/create-summary.js'
import {untrusted} from '../lib/untrusted.js'
import {describeDifferences} from './describe-differences.js'
import {duration} from './part-window.js'
import {table} from './table.js'

/** The answer of `snapshot create`: the id alone on the first line, so that `head -1` gives it to a script. */
export function describeCreate(summary: SnapshotSummary): string {
  const {files, newBytes, rawBytes, seconds, storedBytes} = summary
  const ratio = newBytes > 0 ? ` (ratio ${(storedBytes / newBytes).toFixed(3)})` : ''
  const lines = [
    summary.id ?? 'dry run: nothing was stored',
    `${files} files, ${formatBytes(rawBytes)} · ${formatBytes(newBytes)} new, stored as ${formatBytes(storedBytes)}${ratio} · ${duration(seconds * 1000)}`,
    ...differences(summary),
    ...(summary.parity ? [describeParity(summary.parity)] : []),
    ...leftOut(summary),
    ...sampled(summary),
    ...(summary.needsGpu ? [NEEDS_GPU] : []),
    ...(summary.codec ? [`codec ${untrusted(summary.codec.why)}`] : []),
  ]
  if (summary.reusedPacks > 0)
    lines.push(`${summary.reusedPacks} packs of an interrupted run were not sent again`)
  if (summary.incomplete)
    lines.push(`INCOMPLETE: ${reasons(summary)}; see the warnings, or --json for their list`)
  return lines.join('\n')
}

const NEEDS_GPU =
  'needs an NVIDIA GPU to come back; dumont snapshot transcode makes one of it that needs none'

const UPLINK_UNKNOWN =
  'how fast this box sends to this store is not known before a create of some seconds: EXPECTED is the time to compress alone'

function differences({delta}: SnapshotSummary): readonly string[] {
  return delta === undefined ? [] : [describeDifferences(delta)]
}

function describeParity({bytes, groups, unprotected}: NonNullable<SnapshotSummary['parity']>) {
  const without = unprotected > 0 ? `; ${unprotected} packs have none` : ''
  return `parity for ${groups} groups, ${formatBytes(bytes)} of it new${without}`
}

function leftOut({leftOut: sizes, notes}: SnapshotSummary): readonly string[] {
  const shown = Object.entries(notes).map(([code, count]) => {
    const size = sizes[code]?.bytes ?? 0
    return `${count} ${untrusted(code, 40)}${size > 0 ? ` (${formatBytes(size)})` : ''}`
  })
  return shown.length === 0 ? [] : [`left out or noted: ${shown.join(', ')}`]
}

function sampled({sample, uplink}: SnapshotSummary): readonly string[] {
  if (sample === undefined || sample.length === 0) return []
  const columns = [
    {title: 'CODEC'},
    {align: 'right', title: 'RATIO'},
    {align: 'right', title: 'MB/S'},
    {align: 'right', title: 'UPLINK MB/S'},
    {align: 'right', title: 'EXPECTED'},
  ] as const
  const rows = sample.map(({codec, expected, rate, raw, stored}) => [
    untrusted(codec, 40),
    raw > 0 ? (stored / raw).toFixed(3) : '-',
    rate > 0 ? (rate / 1e6).toFixed(0) : '-',
    uplink === undefined ? '?' : (uplink / 1e6).toFixed(0),
    `${uplink === undefined ? '≥ ' : ''}${duration(expected * 1000)}`,
  ])
  return [table(columns, rows), ...(uplink === undefined ? [UPLINK_UNKNOWN] : [])]
}

function reasons({counts, skippedMounts}: SnapshotSummary): string {
  return [
    counts.torn > 0 ? `${counts.torn} files changed while they were read` : '',
    counts.unreadable > 0 ? `${counts.unreadable} could not be read` : '',
    skippedMounts.length > 0 ? `${skippedMounts.length} mounts were skipped` : '',
  ]
    .filter((reason) => reason !== '')
    .join(', ')
}
