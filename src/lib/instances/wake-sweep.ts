import {throwIfInterrupted} from '../store/interruption.js'
import {LATEST_MS} from './claim.js'
import {reasonOf} from './vendor-failure.js'
import {discard, isMade} from './wake-rent-steps.js'
import {leak, type MachineRun, type WakeRun} from './wake-run.js'

/**
 * At the end every create that nobody heard of is looked for once more: what shows up now is one too many. Their claims stay
 * until their deadline, so that later commands look again.
 */
export async function sweepUnsettled(all: WakeRun, signal?: AbortSignal): Promise<void> {
  const {clock, provider} = all.service
  for (const {at, label} of all.unsettled.splice(0)) {
    const machine: MachineRun = {all, seconds: {}, failures: [], label, createdAt: at}
    try {
      await clock.sleep(Math.max(0, at + LATEST_MS - clock.now()), signal)
      const listed = await provider.list({label}, signal)
      const found = listed.find((one) => one.label === label && one.phase !== 'gone')
      if (found) {
        await isMade(machine, found.id, signal)
        await discard(0, 'it was rented without a word')(machine, signal)
      }
    } catch (error) {
      leak(machine, `it may have been rented: ${reasonOf(error)}`)
      throwIfInterrupted(signal)
    }
  }
}

/** Gives back a machine too many that an earlier run rented; what cannot be is named. */
export async function discardMachine(
  all: WakeRun,
  {id, label}: {readonly id: string; readonly label: string},
  signal?: AbortSignal,
): Promise<void> {
  const machine: MachineRun = {all, seconds: {}, failures: [], id, label}
  await discard(0, 'it is one more than was asked for')(machine, signal)
}
