import {formatBytes} from '../lib/bytes.js'
import {isDumontError} from '../lib/errors.js'
import type {DeleteQuestion, HostRestore} from '../lib/snapshots/restore-host.js'
import type {HostOutcome, RestoreSummary} from '../lib/snapshots/restore-snapshot.js'
import {untrusted} from '../lib/untrusted.js'
import {duration} from './part-window.js'

const MOST_FAILURES = 20

/** What `snapshot restore --json` answers; figures are sums over all boxes. */
export interface RestoreAnswer {
  readonly id: string
  readonly lineage: string
  readonly label: string
  readonly files: number
  readonly rawBytes: number
  /** Bytes that were written because they were not there. */
  readonly newBytes: number
  /** Bytes that were fetched from the store. */
  readonly storedBytes: number
  readonly seconds: number
  readonly warnings: HostRestore['warnings']
  readonly failed: number
  /** Files that changed while they were saved. */
  readonly torn: number
  readonly hosts: readonly object[]
}

export function restoreAnswer({
  failed,
  hosts,
  id,
  label,
  lineage,
  seconds,
  torn,
}: RestoreSummary): RestoreAnswer {
  const done = hosts.filter((host) => host.ok)
  const sum = (of: (host: HostRestore) => number): number =>
    done.reduce((total, host) => total + of(host), 0)
  return {
    failed,
    files: sum(({counts}) => counts['files'] ?? 0),
    hosts: hosts.map(hostAnswer),
    id,
    label,
    lineage,
    newBytes: sum(({bytes}) => bytes.written),
    rawBytes: sum(({bytes}) => bytes.raw),
    seconds,
    storedBytes: sum(({bytes}) => bytes.fetched),
    torn,
    warnings: joined(done.map(({warnings}) => warnings)),
  }
}

/** The warnings of all boxes in the form that those of one have. */
function joined(all: readonly HostRestore['warnings'][]): HostRestore['warnings'] {
  const byCode: Record<string, number> = {}
  for (const one of all)
    for (const [code, count] of Object.entries(one.byCode))
      byCode[code] = (byCode[code] ?? 0) + count
  return {
    byCode,
    count: all.reduce((total, one) => total + one.count, 0),
    first: all.flatMap((one) => one.first),
  }
}

function hostAnswer(outcome: HostOutcome): object {
  if (outcome.ok) return outcome
  const {error, host, ok} = outcome
  if (isDumontError(error)) {
    const {code, hint, message} = error
    return {error: {code, message, ...(hint === undefined ? {} : {hint})}, host, ok}
  }
  return {
    error: {code: 'BUG', message: error instanceof Error ? error.message : String(error)},
    host,
    ok,
  }
}

/** The verdict of `snapshot restore`, box by box. */
export function describeRestore({hosts, id, seconds, torn}: RestoreSummary): string {
  const lines = hosts.flatMap((outcome) => (outcome.ok ? restored(outcome) : lost(outcome)))
  const flaw =
    torn > 0
      ? [`${torn} files changed while they were saved, and come back as they were read then (torn)`]
      : []
  const rebuilt = hosts.some(
    (outcome) => outcome.ok && (outcome.warnings.byCode['rebuilt'] ?? 0) > 0,
  )
  const advice = rebuilt
    ? [
        `part of it is lost in the store and was made again: dumont snapshot repair ${id} --host BOX`,
      ]
    : []
  return [`${id} · ${duration(seconds * 1000)}`, ...lines, ...flaw, ...advice].join('\n')
}

function restored(outcome: HostOutcome & {readonly ok: true}): readonly string[] {
  const {bytes, counts, deleted, failed, failures, host, notes, same, written} = outcome
  const left = Object.entries(notes).map(([code, count]) => `${count} ${untrusted(code, 40)}`)
  const shown = failures.slice(0, MOST_FAILURES)
  return [
    `${host}: ${counts['files'] ?? 0} files, ${formatBytes(bytes.raw)} · ${written} written, ${same} equal already${deleted > 0 ? `, ${deleted} removed` : ''} · fetched ${formatBytes(bytes.fetched)}`,
    ...(left.length > 0 ? [`  left out or noted: ${left.join(', ')}`] : []),
    ...(failed > 0 ? [`  FAILED: ${failed} entries did not come back`] : []),
    ...shown.map(({message, path}) => `    ${path}: ${message}`),
    ...(failed > shown.length ? [`    … and ${failed - shown.length} more`] : []),
  ]
}

function lost({error, host}: HostOutcome & {readonly ok: false}): readonly string[] {
  const message = error instanceof Error ? error.message : String(error)
  const hint = isDumontError(error) && error.hint !== undefined ? [`  try: ${error.hint}`] : []
  return [`${host}: FAILED: ${message}`, ...hint]
}

/** Asked once before `--delete` removes anything. */
export function deleteQuestion({count, examples, host}: DeleteQuestion): string {
  return `Remove ${count} entries on ${host} that the snapshot does not hold (${examples.slice(0, 5).join(', ')}…)?`
}
