import {join} from 'node:path'
import {readIfThere, writeWhole} from '../snapshots/state-file.js'

/** Who writes records and holds claims: one run of dumont on one machine. */
export interface ClaimOwner {
  /** `<machine>.<run>`; nothing about the machine can be read from it. */
  readonly id: string
  /** Whether that run may still be at work: unknown runs of other machines always may. */
  isAtWork(owner: string): boolean
}

/**
 * This run as an owner. `run` is unique among the runs that are alive on this machine (a process id);
 * `isRunning` says whether such a run still is.
 */
export async function openClaimOwner(
  stateDir: string,
  {
    isRunning,
    random,
    run,
  }: {
    readonly random: (count: number) => Uint8Array
    readonly run: number
    readonly isRunning: (run: number) => boolean
  },
): Promise<ClaimOwner> {
  const path = join(stateDir, 'machine')
  const known = await readIfThere(path)
  const isKnown = known !== undefined && /^[0-9a-f]{16}$/.test(known)
  const machine = isKnown ? known : Buffer.from(random(8)).toString('hex')
  if (!isKnown) await writeWhole(path, machine)
  return {
    id: `${machine}.${run}`,
    isAtWork(owner) {
      const [other, number = ''] = owner.split('.')
      return other !== machine || (Number(number) !== run && isRunning(Number(number)))
    },
  }
}
