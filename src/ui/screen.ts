import {stripVTControlCharacters} from 'node:util'

/** What log-update begins a frame with: erase the lines of the frame before. */
// oxlint-disable-next-line no-control-regex -- these are the control sequences themselves
const ERASING = /^(?:\u001B\[2K|\u001B\[1A)*\u001B\[G/u
const ERASE_LINE = '\u001B[2K'
const LINE_UP = '\u001B[1A'
const LINE_START = '\u001B[G'
const SHOW_CURSOR = '\u001B[?25h'

type Terminal = Pick<NodeJS.WriteStream, 'columns' | 'write'>

/**
 * What listr2 draws on: streams of its own, because listr2 holds back everything else that is written to the ones it is
 * given. It erases frames itself, because only here is it known that a question stood between two of them, or that the
 * terminal was made narrower and has wrapped the last one anew.
 */
export class Screen<T extends Terminal> {
  readonly #terminal: T
  #frame = ''
  #paused = false

  constructor(terminal: T) {
    this.#terminal = terminal
  }

  /** The terminal with another `write`; a new object each time, for listr2 replaces `write` in the ones it is given. */
  stream(): T {
    const write = (text: string): boolean => this.#draw(text)
    return Object.create(this.#terminal, {
      write: {configurable: true, value: write, writable: true},
    }) as T
  }

  /** Takes the frame off the screen, so that a question stands alone; the next frame comes below its answer. */
  pause(paused: boolean): void {
    if (paused) {
      this.#replace('')
      this.#terminal.write(SHOW_CURSOR)
    }
    this.#paused = paused
  }

  /** Shows this in place of the frame before. */
  frame(text: string): void {
    if (!this.#paused && text !== this.#frame) this.#replace(text)
  }

  /** Writes whole lines that stay; the next frame comes below them. */
  above(lines: string): void {
    this.#replace('')
    this.#terminal.write(lines)
  }

  #draw(text: string): boolean {
    if (this.#paused) return true
    if (ERASING.test(text)) return this.#replace(text.replace(ERASING, ''))
    this.#frame += text
    return this.#terminal.write(text)
  }

  #replace(frame: string): boolean {
    const erased = erasing(rowsOf(this.#frame, this.#terminal.columns))
    this.#frame = frame
    return this.#terminal.write(erased + frame)
  }
}

/** Rows a text takes from its first line to the cursor after it, each character one column wide; 0 for none. */
export function rowsOf(text: string, columns: number | undefined): number {
  if (text === '') return 0
  const width = columns !== undefined && columns > 0 ? columns : Infinity
  return stripVTControlCharacters(text)
    .split('\n')
    .reduce((rows, line) => rows + Math.max(1, Math.ceil(line.length / width)), 0)
}

function erasing(rows: number): string {
  return rows === 0 ? '' : `${ERASE_LINE}${`${LINE_UP}${ERASE_LINE}`.repeat(rows - 1)}${LINE_START}`
}
