import type {Slot} from '../seal/slot.js'
import {untrusted} from '../untrusted.js'

/** One line for people: `file 3f9ac01d22aa9b04 (laptop)`. */
export function nameOfSlot({kind, label, slot}: Pick<Slot, 'kind' | 'label' | 'slot'>): string {
  return `${kind} ${slot}${label === '' ? '' : ` (${untrusted(label, 60)})`}`
}
