import type {Report, Step} from '../lib/progress/events.js'

/** One way of showing progress. Exactly one of `succeed` and `fail` ends it. */
export interface View {
  readonly report: Report
  /** Keeps the screen to a question while it is asked; questions of several boxes come one after the other. */
  readonly whileAsking: <T>(ask: () => Promise<T>) => Promise<T>
  succeed(): Promise<void>
  fail(): Promise<void>
}

/** What each step is called while it runs. */
export const STEP_TITLES: Readonly<Record<Step, string>> = {
  'check-packs': 'Check packs',
  commit: 'Commit',
  connect: 'Connect',
  equip: 'Equip the box',
  'open-store': 'Open the store',
  remove: 'Remove',
  restore: 'Restore',
  transfer: 'Transfer',
  verify: 'Verify',
}

/** Lets one question be answered before the next is asked; `pause` says whether one is on the screen. */
export function oneAtATime(pause: (paused: boolean) => void): View['whileAsking'] {
  let last: Promise<unknown> = Promise.resolve()
  return async (ask) => {
    const before = last
    const answer = (async () => {
      await before
      pause(true)
      try {
        return await ask()
      } finally {
        pause(false)
      }
    })()
    // A question that fails is its asker's matter, not the next one's.
    last = answer.catch(() => undefined)
    return answer
  }
}
