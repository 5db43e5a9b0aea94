import {DumontError} from '../errors.js'
import type {Phase} from '../providers/provider.js'
import type {RecordState} from './record.js'

/** What is known before a machine is woken. */
export interface WakeSituation {
  readonly id: string
  readonly state: RecordState | undefined
  /** Of the old instance; undefined where there never was one. */
  readonly phase: Phase | undefined
  readonly fork: boolean
  /** The operator named a snapshot. */
  readonly named: boolean
  /** The newest snapshot of the lineage when it is not the one to restore. */
  readonly newer: string | undefined
  /** Machines woken from this one before that still exist. */
  readonly alive: readonly string[]
}

/** `confirm`: only if the account certainly lacks the old one; `start`: its disk is still there. */
export type WakeDecision = 'confirm' | 'rent' | 'start'

/** Whether there may be another copy of this workspace; a pure function. Rejects INSTANCE_BUSY or USAGE where there may not. */
export function decideWake(situation: WakeSituation): WakeDecision {
  const {alive, fork, id, named, newer, phase, state} = situation
  if (fork && !named)
    throw new DumontError('USAGE', '--fork needs to know what to copy', {
      hint: 'add --snapshot ID; `dumont snapshot list` shows them',
    })
  if (fork) return 'rent'
  if (alive.length > 0) throw busy(`${id} was woken already: ${alive.join(', ')} still exists`)
  if (phase !== undefined && phase !== 'gone') return decidePresent(id, phase)
  if (newer !== undefined) throw busy(`${newer} is newer than what would be restored of ${id}`)
  if (state === 'hibernated' || state === 'woken') return 'rent'
  if (phase !== undefined) return 'confirm'
  // Another account's instance cannot be looked at from here.
  if (state === undefined || state === 'claimed') return 'rent'
  throw busy(`${id} belongs to another account and may still exist (${state})`)
}

function decidePresent(id: string, phase: Exclude<Phase, 'gone'>): WakeDecision {
  if (phase === 'stopped' || phase === 'interrupted') return 'start'
  throw busy(
    phase === 'running' || phase === 'starting' || phase === 'provisioning'
      ? `${id} still runs`
      : `${id} still exists and may come back (${phase})`,
  )
}

function busy(message: string): DumontError {
  return new DumontError('INSTANCE_BUSY', message, {
    hint: 'to have a second copy all the same, name the snapshot: add --snapshot ID --fork',
    retry: 'later',
  })
}
