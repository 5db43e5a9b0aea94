import {Listr, ListrLogger, ProcessOutput, type ListrTaskWrapper} from 'listr2'
import type {Clock} from '../lib/clock.js'
import type {ProgressEvent, Step} from '../lib/progress/events.js'
import {advance, type TransferState} from '../lib/progress/transfer-state.js'
import {partWindow} from './part-window.js'
import {Pause} from './pause.js'
import {Screen} from './screen.js'
import {oneAtATime, STEP_TITLES, type View} from './view.js'

// oxlint-disable-next-line typescript/no-explicit-any -- listr2 names its renderers only as type parameters
type Task = ListrTaskWrapper<any, any, any>

const REDRAW_MS = 100
const COLUMNS = 80
const ROWS = 24

/** One line of the list: a step of the work, or one of several boxes. */
class Row {
  title: string
  state: TransferState | undefined
  task: Task | undefined
  private settle: ((failed: boolean) => void) | undefined
  private outcome: boolean | undefined

  constructor(title: string) {
    this.title = title
  }

  /** Resolves when the step is done; rejects when the work failed in it. */
  run(task: Task): Promise<void> {
    this.task = task
    task.title = this.title
    return new Promise((resolve, reject) => {
      this.settle = (failed) => {
        if (failed) reject(new Error(this.title))
        else resolve()
      }
      if (this.outcome !== undefined) this.settle(this.outcome)
    })
  }

  /** Also before listr2 has begun with it. */
  retitle(title: string): void {
    this.title = title
    if (this.task !== undefined) this.task.title = title
  }

  end(failed: boolean): void {
    this.outcome ??= failed
    this.settle?.(failed)
  }

  get isRunning(): boolean {
    return this.task !== undefined && this.outcome === undefined
  }
}

interface TerminalOptions {
  readonly clock: Clock
  /** More than one box: a row for each, at the same time; else a row for each step. */
  readonly hosts: readonly string[]
  readonly steps: readonly Step[]
  readonly stream: NodeJS.WriteStream
}

/** Steps and the windowed block of parts, redrawn in place on a terminal. */
export function terminalView({clock, hosts, steps, stream}: TerminalOptions): View {
  const byHost = hosts.length > 1
  const names: readonly string[] = byHost ? hosts : steps
  const rows = new Map(
    names.map((name) => [name, new Row(byHost ? name : STEP_TITLES[name as Step])]),
  )
  const screen = new Screen(stream)
  const pause = new Pause(screen)
  const output = new ProcessOutput(screen.stream(), screen.stream())
  // listr2 gives log-update a copy without the size, which takes every terminal for 80×24.
  Object.defineProperty(output, 'stdout', {value: screen.stream()})
  const listr = new Listr(
    [...rows.values()].map((row) => ({
      task: (_context: unknown, task: Task) => row.run(task),
      title: row.title,
    })),
    {
      concurrent: byHost,
      exitOnError: !byHost,
      forceTTY: true,
      registerSignalListeners: false,
      renderer: 'default',
      rendererOptions: {
        collapseErrors: true,
        collapseSkips: true,
        logger: new ListrLogger({processOutput: output}),
        showErrorMessage: false,
        spinner: pause,
      },
    },
  )
  // The list only shows what the service does; the service's own error is the one that is reported.
  const finished = listr.run().catch(() => undefined)
  const redraw = setInterval(() => {
    if (!pause.isAsking) draw(rows, stream, byHost ? hosts.length : 1)
  }, REDRAW_MS)

  const close = async (failed: boolean): Promise<void> => {
    clearInterval(redraw)
    // The first that has not ended is the one it failed in; listr2 does not begin with the later ones.
    for (const row of rows.values()) row.end(failed)
    await finished
  }
  return {
    fail: () => close(true),
    report: (event) => pause.after(() => apply(event, rows, byHost, clock)),
    succeed: () => close(false),
    whileAsking: oneAtATime((isAsking) => pause.set(isAsking)),
  }
}

function apply(
  event: ProgressEvent,
  rows: ReadonlyMap<string, Row>,
  byHost: boolean,
  clock: Clock,
): void {
  if (event.kind === 'step') {
    const row = rows.get(byHost ? (event.host ?? '') : event.step)
    if (row !== undefined && byHost) tellOfHost(row, event)
    else if (row !== undefined && event.state === 'done') {
      if (event.detail !== undefined) row.retitle(`${row.title} · ${event.detail}`)
      row.end(false)
    }
  }
  if (event.kind === 'transfer') {
    const row = byHost
      ? rows.get(event.host ?? '')
      : [...rows.values()].find((one) => one.isRunning)
    if (row !== undefined) row.state = advance(row.state, event.progress, clock.now())
  }
}

/** A box is done with its last step, or has failed while others go on. */
function tellOfHost(row: Row, {host, state, step}: ProgressEvent & {kind: 'step'}): void {
  if (state !== 'failed') row.retitle(`${host} · ${STEP_TITLES[step]}`)
  if (state === 'failed' || (state === 'done' && step === 'restore')) row.end(state === 'failed')
}

function draw(rows: ReadonlyMap<string, Row>, stream: NodeJS.WriteStream, blocks: number): void {
  for (const row of rows.values()) {
    if (row.task === undefined || row.state === undefined || !row.isRunning) continue
    const height = Math.floor((stream.rows || ROWS) / blocks)
    // listr2 wraps at the width of stdout, and at 80 where that is a file.
    const width = Math.min(stream.columns || COLUMNS, process.stdout.columns || COLUMNS)
    row.task.output = partWindow(row.state, height, width).join('\n')
  }
}
