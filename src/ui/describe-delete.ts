import {formatBytes} from '../lib/bytes.js'
import type {DeleteResult, Doomed} from '../lib/snapshots/delete-snapshot.js'
import {untrusted} from '../lib/untrusted.js'

/** The question before anything is deleted. */
export function questionOf(doomed: readonly Doomed[]): string {
  const names = doomed.map((one) =>
    'manifest' in one
      ? `${one.id} (${untrusted(one.manifest.label, 60)}, ${formatBytes(one.manifest.bytes.raw)})`
      : `${untrusted(one.id, 60)} (unreadable)`,
  )
  return `Delete ${names.join(', ')}?`
}

/** What is gone, and when its space is. */
export function describeDelete({bytes, deleted, freeAfter}: DeleteResult): string {
  const lines = deleted.map((id) => `deleted ${untrusted(id, 60)}`)
  if (freeAfter !== undefined) {
    const time = new Date(freeAfter).toISOString().slice(11, 16)
    lines.push(`${formatBytes(bytes)} free after ${time} UTC, with the next delete or create`)
  } else lines.push('nothing becomes free: other snapshots need all of it')
  return lines.join('\n')
}
