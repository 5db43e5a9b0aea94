import {formatBytes} from '../lib/bytes.js'
import type {PartProgress} from '../lib/progress/events.js'
import type {TransferState} from '../lib/progress/transfer-state.js'

/** Rows that listr2 needs for its own lines around the block. */
const RESERVED_ROWS = 10
const MOST_PARTS = 10
// listr2 indents output and wraps what reaches the edge.
const INDENT = 6
const LEAST_BAR = 6
const MOST_BAR = 24
/** ` 50 % ` and the blank before the bar's end. */
const SHARE_WIDTH = 7

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
export function totals(state: TransferState): string {
  return joined(facts(state))
}

interface Facts {
  readonly amount: string
  readonly files: string
  readonly rate: string
  readonly link: string
  readonly ratio: string
  readonly eta: string
}

function facts({eta, progress, rate, rawRate, ratio}: TransferState): Facts {
  const {files, raw, rawTotal} = progress
  return {
    amount: rawTotal > 0 ? `${formatBytes(raw)} of ${formatBytes(rawTotal)}` : formatBytes(raw),
    files: `${files} files`,
    rate: rawRate > 0 ? `${formatBytes(rawRate)}/s` : '',
    link: rate > 0 ? `link ${formatBytes(rate)}/s` : '',
    ratio: ratio === undefined ? '' : `ratio ${ratio.toFixed(2)}`,
    eta: eta === undefined ? '' : `eta ${duration(eta)}`,
  }
}

function joined(shown: Facts): string {
  return Object.values(shown)
    .filter((fact) => fact !== '')
    .join(' · ')
}

/** `3 s`, `2 min 05 s`, `1 h 10 min`. */
export function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${pad(seconds % 60)} s`
  return `${Math.floor(seconds / 3600)} h ${pad(Math.floor(seconds / 60) % 60)} min`
}

/** What a narrow terminal does without, in this order. */
const LESS_TOLD = ['link', 'files', 'ratio', 'rate', 'eta'] as const

function totalLine(state: TransferState, width: number): string {
  const {raw, rawTotal} = state.progress
  let shown = facts(state)
  const room = rawTotal > 0 ? width - SHARE_WIDTH - LEAST_BAR : width
  for (const fact of LESS_TOLD) {
    if (joined(shown).length <= room) break
    shown = {...shown, [fact]: ''}
  }
  const text = joined(shown)
  if (rawTotal === 0) return text
  const share = Math.min(1, raw / rawTotal)
  const barWidth = Math.min(MOST_BAR, width - text.length - SHARE_WIDTH)
  const percent = `${String(Math.floor(share * 100)).padStart(3)} %`
  return `${barWidth < LEAST_BAR ? '' : `${bar(share, barWidth)} `}${percent} ${text}`
}

function partLine([part, done, total, attempt]: PartProgress, width: number): string {
  const amount = `${formatBytes(done)} of ${formatBytes(total)}`
  const again = attempt > 1 ? ` attempt ${attempt}` : ''
  const barWidth = Math.max(LEAST_BAR, Math.min(MOST_BAR, width - 36))
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
