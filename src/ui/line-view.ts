import type {Clock} from '../lib/clock.js'
import type {ProgressEvent} from '../lib/progress/events.js'
import {advance, type TransferState} from '../lib/progress/transfer-state.js'
import {totals} from './part-window.js'
import {oneAtATime, STEP_TITLES, type View} from './view.js'

const QUIET_MS = 30_000
const STEPS = 10

interface Told {
  readonly at: number
  readonly tenth: number
}

/** A few lines for cron and logs: each step once, and a line every 10 % that is no sooner than 30 s. */
export function lineView(write: (line: string) => void, clock: Clock): View {
  const states = new Map<string, TransferState>()
  const told = new Map<string, Told>()

  function transfer(event: ProgressEvent & {kind: 'transfer'}): void {
    const host = event.host ?? ''
    const now = clock.now()
    const state = advance(states.get(host), event.progress, now)
    states.set(host, state)
    const {raw, rawTotal} = event.progress
    const share = rawTotal > 0 ? raw / rawTotal : 0
    const tenth = Math.floor(share * STEPS)
    const last = told.get(host)
    if (last === undefined) {
      told.set(host, {at: now, tenth})
      return
    }
    const grown = rawTotal === 0 || tenth > last.tenth
    if (!grown || now - last.at < QUIET_MS) return
    told.set(host, {at: now, tenth})
    write(`${prefix(event)}${Math.floor(share * 100)} % ${totals(state)}`)
  }

  return {
    fail: async () => {},
    report: (event) => {
      if (event.kind === 'transfer') transfer(event)
      else if (event.kind === 'step' && event.state !== 'started')
        write(`${prefix(event)}${stepLine(event)}`)
    },
    succeed: async () => {},
    whileAsking: oneAtATime(() => {}),
  }
}

function stepLine({detail, state, step}: ProgressEvent & {kind: 'step'}): string {
  const said = detail === undefined ? '' : `: ${detail}`
  return state === 'failed' ? `FAILED${said}` : `${STEP_TITLES[step]}${said}`
}

function prefix(event: {readonly host?: string}): string {
  return event.host === undefined ? '' : `${event.host}: `
}
