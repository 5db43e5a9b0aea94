import type {Report, Step} from '../lib/progress/events.js'

/** One way of showing progress. Exactly one of `succeed` and `fail` ends it. */
export interface View {
  readonly report: Report
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
