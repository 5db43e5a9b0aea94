import type {Clock} from '../lib/clock.js'
import type {Step} from '../lib/progress/events.js'
import {lineView} from './line-view.js'
import {messageLine} from './message-line.js'
import {oneAtATime, type View} from './view.js'

export interface ViewOptions {
  readonly clock: Clock
  readonly hosts: readonly string[]
  readonly json: boolean
  readonly quiet: boolean
  readonly steps: readonly Step[]
  /** Steps are told as they come, and messages between them. */
  readonly story?: boolean
  /** Events go to stdout as JSON lines. */
  readonly stream: boolean
}

/** Picks the view: JSON lines, nothing, the terminal's, or a few lines; warnings and notes are kept for after. */
export async function openView(options: ViewOptions): Promise<View> {
  if (options.stream) return streamView()
  if (options.json) return silentView()
  if (options.story !== true) return withMessages(await writtenView(options), options.quiet)
  if (options.quiet || !process.stderr.isTTY)
    return withMessagesBetween(await writtenView(options), options.quiet)
  const {storyView} = await import('./story-view.js')
  return storyView(process.stderr, options.clock)
}

async function writtenView({clock, hosts, quiet, steps}: ViewOptions): Promise<View> {
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
      if (event.kind === 'warning' || (event.kind === 'note' && !quiet))
        lines.push(messageLine(event))
      else view.report(event)
    },
    succeed: () => view.succeed().finally(flush),
    whileAsking: view.whileAsking,
  }
}

/** Nothing live stands in their way: hours of waiting should not hold them back. */
function withMessagesBetween(view: View, quiet: boolean): View {
  return {
    ...view,
    report: (event) => {
      if (event.kind === 'warning' || (event.kind === 'note' && !quiet))
        process.stderr.write(`${messageLine(event)}\n`)
      else view.report(event)
    },
  }
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
