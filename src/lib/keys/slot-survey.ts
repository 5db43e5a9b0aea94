import type {Protection} from '../seal/store-keys.js'
import {openSlot, type SlotKind} from '../seal/slot.js'
import type {KeyPlace} from './open-keyed.js'
import type {KeySlots} from './opened-keys.js'
import {type AtHand, keysAtHand} from './sources.js'

/** The slots of a store, and which of them can be opened here without asking. */
export interface SlotSurvey {
  readonly repository: string
  readonly protection: Protection | undefined
  readonly slots: readonly {
    readonly slot: string
    readonly kind: SlotKind
    readonly label: string
    readonly created: string
    /** What opens it on this machine: a file, or the name of a variable. */
    readonly openedBy?: string
  }[]
  readonly unusable: readonly {readonly slot: string; readonly reason: string}[]
  /** More than 64 lie there; the rest was not looked at. */
  readonly isCut: boolean
}

export async function surveySlots(
  {list, repository}: KeySlots,
  {sources}: KeyPlace,
): Promise<SlotSurvey> {
  const atHand: AtHand[] = []
  for await (const key of keysAtHand(sources, repository.id)) atHand.push(key)
  const slots = []
  for (const slot of list.slots) {
    const {created, kind, label, slot: name} = slot
    let openedBy: string | undefined
    for (const {secret, what} of atHand)
      // One that was tampered with opens to nobody.
      if (!openedBy && (await openSlot(slot, secret).catch(() => undefined))) openedBy = what
    slots.push({slot: name, kind, label, created, ...(openedBy !== undefined && {openedBy})})
  }
  const {isCut, unusable} = list
  return {repository: repository.id, protection: repository.protection, slots, unusable, isCut}
}
