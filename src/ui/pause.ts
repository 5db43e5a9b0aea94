import {Spinner} from 'listr2'

interface Pausable {
  pause(paused: boolean): void
}

/**
 * Keeps the terminal still while a question is asked. It is the spinner as well, because listr2 draws whenever that turns,
 * and hides the cursor each time.
 */
export class Pause extends Spinner {
  readonly #screen: Pausable
  readonly #later: (() => void)[] = []
  isAsking = false

  constructor(screen: Pausable) {
    super()
    this.#screen = screen
  }

  override start(draw?: () => void, interval?: number): void {
    super.start(() => {
      if (!this.isAsking) draw?.()
    }, interval)
  }

  set(isAsking: boolean): void {
    this.isAsking = isAsking
    this.#screen.pause(isAsking)
    if (!isAsking) for (const act of this.#later.splice(0)) act()
  }

  /** Acts at once, or when the question has its answer. */
  after(act: () => void): void {
    if (this.isAsking) this.#later.push(act)
    else act()
  }
}
