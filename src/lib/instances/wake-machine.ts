import {DumontError, isDumontError} from '../errors.js'
import type {Step} from '../progress/events.js'
import {untrusted} from '../untrusted.js'
import {asDumontError, reasonOf} from './vendor-failure.js'
import {boot, check, provision, reach} from './wake-boot-steps.js'
import {freshFacts, nextWakeStep, type WakeFacts, type WakeStep} from './wake-facts.js'
import {choose, claim, create, discard, forget, settle} from './wake-rent-steps.js'
import {handOver, hook, restore} from './wake-restore-steps.js'
import {leak, type MachineRun, type WakeDeed, type WakeRun} from './wake-run.js'
import type {Woken} from './wake-request.js'

const DEEDS: Readonly<Record<Exclude<WakeStep, 'discard' | 'done' | 'give-up'>, WakeDeed>> = {
  await: boot,
  check,
  choose,
  claim,
  create,
  forget,
  'hand-over': handOver,
  hook,
  provision,
  reach,
  restore,
  settle,
}

/** Steps that are told while they go on, and so have to be told to have failed. */
const TOLD: Readonly<Partial<Record<WakeStep, Step>>> = {
  await: 'boot',
  provision: 'provision',
  reach: 'reach',
  restore: 'restore',
}

/** What an earlier run has left of one machine. */
export interface Adopted {
  readonly label: string
  readonly id: string
  readonly isRestored: boolean
}

/**
 * Brings one machine from an offer, or from where an earlier run left it, into its owner's hands. Rejects after three machines
 * that failed, when no offer is left, and when something may be left behind; what is left is in `leaks`.
 */
export async function wakeMachine(
  all: WakeRun,
  adopted: Adopted | undefined,
  signal?: AbortSignal,
): Promise<Woken> {
  const machine: MachineRun = {
    all,
    seconds: {},
    failures: [],
    ...(adopted ? {label: adopted.label, id: adopted.id} : {}),
  }
  let facts: WakeFacts = adopted
    ? {...freshFacts(0), contract: 'made', restored: adopted.isRestored}
    : freshFacts(0)
  try {
    for (;;) {
      const step = nextWakeStep(facts)
      if (step === 'give-up') throw giveUp(machine, facts)
      if (step === 'done') break
      const deed =
        step === 'discard' ? discard(facts.rounds, facts.failed ?? 'unknown') : DEEDS[step]
      facts = {...facts, ...(await deed(machine, signal))}
      const shown = TOLD[step]
      if (shown && facts.failed !== undefined)
        all.service.report({
          kind: 'step',
          step: shown,
          state: 'failed',
          detail: untrusted(facts.failed, 200),
        })
    }
  } catch (error) {
    nameWhatIsLeft(machine, facts, error)
    throw asDumontError(error)
  }
  if (!machine.woken) throw new Error('a machine was handed over without a word about it')
  return machine.woken
}

/** Whatever was asked of the vendor and did not end is named, with the way to go on. */
function nameWhatIsLeft(machine: MachineRun, facts: WakeFacts, error: unknown): void {
  const isAsked = machine.createdAt !== undefined || machine.id !== undefined
  if (facts.leaked || machine.label === undefined || !isAsked) return
  if (machine.id !== undefined) leak(machine, reasonOf(error))
  else if (facts.claimed && facts.contract !== 'refused')
    leak(machine, `it may have been rented: ${reasonOf(error)}`)
}

function giveUp({failures, fatal}: MachineRun, facts: WakeFacts): unknown {
  if (isDumontError(fatal)) return fatal
  if (fatal !== undefined) return asDumontError(fatal)
  const told = failures.length === 0 ? '' : `: ${failures.slice(-5).join('; ')}`
  const what = facts.leaked
    ? 'a machine failed and could not be given back'
    : facts.offer === 'exhausted'
      ? 'no offer is left that can be had for this price'
      : `${facts.rounds} machines failed`
  return new DumontError('VENDOR_BUSY', `${what}${told}`, {
    hint: facts.leaked
      ? 'end it at the vendor, or run the command again'
      : 'run the command again later, or add --max-price, --max-spend, --gpu or --region',
    retry: 'later',
  })
}
