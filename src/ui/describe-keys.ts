import type {Imported} from '../lib/keys/import-key.js'
import type {Removal} from '../lib/keys/remove-slot.js'
import type {Rotated} from '../lib/keys/rotate-keys.js'
import {nameOfSlot} from '../lib/keys/slot-name.js'
import type {SlotSurvey} from '../lib/keys/slot-survey.js'
import type {Slot} from '../lib/seal/slot.js'
import {untrusted} from '../lib/untrusted.js'
import {table} from './table.js'

const COLUMNS = ['SLOT', 'KIND', 'CREATED', 'LABEL', 'OPENED HERE BY'].map((title) => ({title}))

export function describeSlots({slots}: SlotSurvey): string {
  return table(
    COLUMNS,
    slots.map(({created, kind, label, openedBy = '–', slot}) => [
      slot,
      kind,
      created.slice(0, 10),
      label === '' ? '–' : untrusted(label, 40),
      openedBy,
    ]),
  )
}

/** What is to be known of slots beside the table. */
export function slotWarnings({isCut, slots, unusable}: SlotSurvey): readonly string[] {
  return [
    ...unusable.map(({reason, slot}) => `warning: slot ${slot} cannot be used: ${reason}`),
    ...(isCut ? ['warning: there are more than 64 slots; the rest is not read'] : []),
    ...(slots.some(({kind}) => kind === 'recovery')
      ? []
      : ['no recovery text opens this store: run dumont key add --recovery']),
  ]
}

export function removalQuestion({isInUse, isLastRecovery, slot}: Removal): string {
  const name = nameOfSlot(slot)
  if (isLastRecovery)
    return `Remove ${name}? Then no recovery text opens the store when this machine is lost.`
  return isInUse ? `Remove ${name}? It is what opens the store here.` : `Remove ${name}?`
}

export function rotationQuestion(doomed: readonly Slot[]): string {
  const names = doomed.map(nameOfSlot).join(', ')
  return `Rotate the keys? This machine gets a new key and you a new recovery text; what opened the store so far will not any more and must be added again: ${names}.`
}

export function describeRotation({file, master, removed}: Rotated): string {
  return [
    `what is written from now on is sealed with master ${master}`,
    file === undefined ? 'your passphrase opens it' : `the new key of this machine is ${file}`,
    `removed: ${removed.join(', ')}; what was written before is not sealed anew`,
  ].join('\n')
}

export function describeImport({file, slot, wasThere}: Imported): string {
  return wasThere
    ? `${file} opens the store already (slot ${slot})`
    : `${file} opens the store from now on (slot ${slot})`
}
