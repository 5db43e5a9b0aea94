import {formatBytes} from '../lib/bytes.js'
import type {PartProgress} from '../lib/progress/events.js'
import type {TransferState} from '../lib/progress/transfer-state.js'

/** Rows that listr2 needs for its own lines around the block. */
const RESERVED_ROWS = 10
const MOST_PARTS = 10
// listr2 indents output and wraps what reaches the edge.
const INDENT = 6

/**
 * The block under the running step: a line of totals, the busiest parts, and how many more are in flight.
 * Pure; fits into `rows` × `columns` of a terminal whatever the number of parts.
 */
export function partWindow(state: TransferState, rows: number, columns: number): readonly string[] {
  const width = Math.max(20, columns - INDENT)
  const parts = state.progress.parts
  const room = Math.max(0, Math.min(MOST_PARTS, rows - RESERVED_ROWS))
  const shown = parts
    .toSorted(mostDoneFirst)
    .slice(0, room)
    .toSorted((a, b) => a[0] - b[0])
  const hidden = parts.length - shown.length
  const lines = [totalLine(state, width), ...shown.map((part) => partLine(part, width))]
  if (hidden > 0) lines.push(`… and ${hidden} more in flight`)
  return lines.map((line) => line.slice(0, width))
}

/** Totals in one line, without a bar: also what a log gets. */
export function totals({eta, progress, rate, rawRate, ratio}: TransferState): string {
  const known = progress.rawTotal > 0
  const facts = [
    known
      ? `${formatBytes(progress.raw)} of ${formatBytes(progress.rawTotal)}`
      : formatBytes(progress.raw),
    `${progress.files} files`,
    rawRate > 0 ? `${formatBytes(rawRate)}/s` : '',
    rate > 0 ? `link ${formatBytes(rate)}/s` : '',
    ratio === undefined ? '' : `ratio ${ratio.toFixed(2)}`,
    eta === undefined ? '' : `eta ${duration(eta)}`,
  ]
  return facts.filter((fact) => fact !== '').join(' · ')
}

/** `3 s`, `2 min 05 s`, `1 h 10 min`. */
export function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${pad(seconds % 60)} s`
  return `${Math.floor(seconds / 3600)} h ${pad(Math.floor(seconds / 60) % 60)} min`
}

function totalLine(state: TransferState, width: number): string {
  const {raw, rawTotal} = state.progress
  const facts = totals(state)
  const barWidth = Math.min(24, width - facts.length - 8)
  if (rawTotal === 0 || barWidth < 6) return facts
  const share = Math.min(1, raw / rawTotal)
  return `${bar(share, barWidth)} ${String(Math.floor(share * 100)).padStart(3)} % ${facts}`
}

function partLine([part, done, total, attempt]: PartProgress, width: number): string {
  const amount = `${formatBytes(done)} of ${formatBytes(total)}`
  const again = attempt > 1 ? ` attempt ${attempt}` : ''
  const barWidth = Math.max(6, Math.min(24, width - 36))
  return `part ${String(part).padStart(3)} ${bar(total > 0 ? done / total : 0, barWidth)} ${amount}${again}`
}

function bar(share: number, width: number): string {
  const filled = Math.round(Math.max(0, Math.min(1, share)) * width)
  return '━'.repeat(filled) + '─'.repeat(width - filled)
}

function mostDoneFirst(a: PartProgress, b: PartProgress): number {
  return b[1] - a[1] || a[0] - b[0]
}

function pad(value: number): string {
  return String(value).padStart(2, '0')
}
