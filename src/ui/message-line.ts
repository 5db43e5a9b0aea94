import type {ProgressEvent} from '../lib/progress/events.js'

/** One line for stderr. */
export function messageLine(event: ProgressEvent & {kind: 'note' | 'warning'}): string {
  const host = event.host === undefined ? '' : `${event.host}: `
  if (event.kind === 'note') return `note: ${host}${event.message}`
  const path = event.path === undefined ? '' : ` (${event.path})`
  return `warning: ${host}${event.message}${path}`
}
