import type {Clock} from '../lib/clock.js'
import type {ProgressEvent, Step} from '../lib/progress/events.js'
import {lineView} from './line-view.js'
import {oneAtATime, type View} from './view.js'

export interface ViewOptions {
  readonly clock: Clock
  readonly hosts: readonly string[]
  readonly json: boolean
  readonly quiet: boolean
  readonly steps: readonly Step[]
  /** Events go to stdout as JSON lines. */
  readonly stream: boolean
}

/** Picks the view: JSON lines, nothing, the terminal's, or a few lines; warnings and notes are kept for after. */
export async function openView(options: ViewOptions): Promise<View> {
  if (options.stream) return streamView()
  if (options.json) return silentView()
  const written = await storyView(options)
  return withMessages(written, options.quiet)
}

async function storyView({clock, hosts, quiet, steps}: ViewOptions): Promise<View> {
  if (quiet) return silentView()
  if (!process.stderr.isTTY) return lineView((line) => process.stderr.write(`${line}\n`), clock)
  // listr2 costs 36 ms of start-up, which commands without progress need not pay.
  const {terminalView} = await import('./terminal-view.js')
  return terminalView({clock, hosts, steps, stream: process.stderr})
}

/** Warnings are shown even with --quiet; both come after the live block, which would overwrite them. */
function withMessages(view: View, quiet: boolean): View {
  const lines: string[] = []
  const flush = (): void => {
    for (const line of lines) process.stderr.write(`${line}\n`)
  }
  return {
    fail: () => view.fail().finally(flush),
    report: (event) => {
      if (event.kind === 'warning' || (event.kind === 'note' && !quiet)) lines.push(message(event))
      else view.report(event)
    },
    succeed: () => view.succeed().finally(flush),
    whileAsking: view.whileAsking,
  }
}

function message(event: ProgressEvent & {kind: 'note' | 'warning'}): string {
  const host = event.host === undefined ? '' : `${event.host}: `
  if (event.kind === 'note') return `note: ${host}${event.message}`
  const path = event.path === undefined ? '' : ` (${event.path})`
  return `warning: ${host}${event.message}${path}`
}

function streamView(): View {
  return {
    ...silentView(),
    report: (event) =>
      process.stdout.write(`${JSON.stringify({type: event.kind, ...event, kind: undefined})}\n`),
  }
}

function silentView(): View {
  return {
    fail: async () => {},
    report: () => {},
    succeed: async () => {},
    whileAsking: oneAtATime(() => {}),
  }
}
