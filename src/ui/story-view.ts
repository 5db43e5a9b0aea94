import type {Clock} from '../lib/clock.js'
import type {ProgressEvent, Step} from '../lib/progress/events.js'
import {advance, type TransferState} from '../lib/progress/transfer-state.js'
import {messageLine} from './message-line.js'
import {duration, partWindow} from './part-window.js'
import {Screen} from './screen.js'
import {oneAtATime, STEP_TITLES, type View} from './view.js'

const REDRAW_MS = 100
const TELLING_MS = 1000
const TURNS = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const COLUMNS = 80
const ROWS = 24

interface Going {
  readonly since: number
  readonly depth: number
  detail: string | undefined
}

/**
 * Work whose steps are not known before: what is done stays as a line above, indented where it is part of another step; what goes
 * on is redrawn below.
 */
export function storyView(stream: NodeJS.WriteStream, clock: Clock): View {
  const screen = new Screen(stream)
  const going = new Map<Step, Going>()
  let transfer: TransferState | undefined
  let turn = 0
  let waiting: string[] | undefined

  const draw = (): void => {
    if (waiting === undefined)
      screen.frame(frameOf(going, transfer, {now: clock.now(), stream, turn}))
  }
  const tell = (line: string): void => {
    if (waiting) waiting.push(line)
    else screen.above(`${line}\n`)
  }
  const end = ({detail, state, step}: ProgressEvent & {kind: 'step'}): void => {
    const known = going.get(step)
    // What was part of it has ended with it.
    for (const [other, {depth}] of known ? going : [])
      if (other === step || depth > (known?.depth ?? 0)) going.delete(other)
    transfer = undefined
    const spent = clock.now() - (known?.since ?? clock.now())
    const shown = [detail, spent >= TELLING_MS ? duration(spent) : undefined]
    const indent = '  '.repeat(known?.depth ?? going.size)
    const facts = shown.filter((fact) => fact !== undefined).map((fact) => ` · ${fact}`)
    tell(`${indent}${state === 'failed' ? '✖' : '✔'} ${STEP_TITLES[step]}${facts.join('')}`)
  }
  const report = (event: ProgressEvent): void => {
    if (event.kind === 'transfer') transfer = advance(transfer, event.progress, clock.now())
    else if (event.kind !== 'step') tell(messageLine(event))
    else if (event.state === 'started') {
      const known = going.get(event.step)
      if (known) known.detail = event.detail
      else going.set(event.step, {depth: going.size, detail: event.detail, since: clock.now()})
    } else end(event)
    draw()
  }
  const redraw = setInterval(() => {
    turn += 1
    draw()
  }, REDRAW_MS)
  const close = (failed: boolean): void => {
    clearInterval(redraw)
    const [last] = [...going.keys()].slice(-1)
    going.clear()
    screen.frame('')
    if (failed && last) tell(`✖ ${STEP_TITLES[last]}`)
  }
  return {
    fail: async () => close(true),
    report,
    succeed: async () => close(false),
    whileAsking: oneAtATime((isAsking) => {
      if (isAsking) waiting = []
      screen.pause(isAsking)
      const late = isAsking ? [] : (waiting ?? [])
      if (!isAsking) waiting = undefined
      for (const line of late) tell(line)
    }),
  }
}

function frameOf(
  going: ReadonlyMap<Step, Going>,
  transfer: TransferState | undefined,
  {now, stream, turn}: {readonly now: number; readonly stream: NodeJS.WriteStream; turn: number},
): string {
  const width = stream.columns || COLUMNS
  const steps = [...going].map(([step, {depth, detail, since}]) => {
    const said = detail === undefined ? '' : ` · ${detail}`
    const line = `${'  '.repeat(depth)}${TURNS[turn % TURNS.length]} ${STEP_TITLES[step]}${said}`
    return `${line.slice(0, width - 14)} · ${duration(now - since)}`
  })
  const parts = transfer ? partWindow(transfer, (stream.rows || ROWS) - going.size, width) : []
  return [...steps, ...parts.map((line) => `    ${line}`)].join('\n')
}
