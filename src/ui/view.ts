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
  boot: 'Wait for the machine',
  'check-packs': 'Check packs',
  commit: 'Commit',
  'confirm-gone': 'Confirm that it is gone',
  connect: 'Connect',
  destroy: 'Destroy the instance',
  equip: 'Equip the box',
  'find-offers': 'Find offers',
  freeze: 'Freeze the box',
  identify: 'Prove which box this is',
  look: 'Look at the instance',
  'open-store': 'Open the store',
  'post-hook': 'Run the post-hook',
  'pre-hook': 'Run the pre-hook',
  prove: 'Prove the snapshot',
  provision: 'Wait for provisioning',
  reach: 'Reach the box',
  'ready-hook': 'Run the ready hook',
  reconcile: 'Settle what was left open',
  record: 'Write the record',
  remove: 'Remove',
  rent: 'Rent a machine',
  repair: 'Make again what is lost',
  rescan: 'Look for changes',
  restore: 'Restore',
  still: 'Make the box still',
  stop: 'Stop the instance',
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
