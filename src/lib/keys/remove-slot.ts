import {DumontError} from '../errors.js'
import type {Slot} from '../seal/slot.js'
import {untrusted} from '../untrusted.js'
import type {OpenedKeys} from './opened-keys.js'
import {nameOfSlot} from './slot-name.js'
import {putSlot, readSlots, removeSlots} from './slots.js'

/** What is to be removed, for the question before it. */
export interface Removal {
  readonly slot: Slot
  /** It is the only one that a recovery text opens. */
  readonly isLastRecovery: boolean
  /** It is what opens the store on this machine now. */
  readonly isInUse: boolean
}

/** Removes one slot by its name or the beginning of it; never the last. Undefined when the answer was no. */
export async function removeSlot(
  {list, store, unlocked}: OpenedKeys,
  wanted: string,
  confirm: (removal: Removal) => Promise<boolean>,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const unusable = list.unusable.find(({slot}) => slot === wanted)
  const slot = unusable ? undefined : pick(list.slots, wanted)
  if (slot) {
    if (list.slots.length === 1) throw lastOne(slot)
    const others = list.slots.filter((other) => other !== slot)
    const isLastRecovery = slot.kind === 'recovery' && !others.some(({kind}) => kind === 'recovery')
    const isInUse = slot.slot === unlocked.slot.slot
    if (!(await confirm({isInUse, isLastRecovery, slot}))) return undefined
  }
  const name = slot?.slot ?? wanted
  await removeSlots(store, [name], signal)
  // Somebody else may have removed the other one at the same time.
  if (slot && (await readSlots(store, slot.repository, signal)).slots.length === 0) {
    await putSlot(store, slot, signal)
    throw lastOne(slot)
  }
  return name
}

function lastOne(slot: Slot): DumontError {
  return new DumontError('USAGE', `${nameOfSlot(slot)} is the last: without it nothing opens`, {
    hint: 'add another first: dumont key add',
  })
}

function pick(slots: readonly Slot[], wanted: string): Slot {
  const found = /^[0-9a-f]{1,16}$/.test(wanted)
    ? slots.filter(({slot}) => slot.startsWith(wanted))
    : []
  const [first] = found
  if (first && found.length === 1) return first
  throw new DumontError(
    'USAGE',
    first
      ? `${wanted} is the beginning of ${found.length} slots`
      : `there is no slot ${untrusted(wanted, 40)}`,
    {hint: `there are ${slots.map(nameOfSlot).join(', ')}`},
  )
}
