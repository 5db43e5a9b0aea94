import type {KeyPlace} from '../keys/open-keyed.js'
import {readKeys} from '../keys/opened-keys.js'
import {nameOfSlot} from '../keys/slot-name.js'
import {readSlots, type SlotList} from '../keys/slots.js'
import {type Locked, unlock} from '../keys/unlock.js'
import {openRepository} from '../store/repository.js'
import type {Store} from '../store/store.js'
import {bad, type Finding, good, note} from './finding.js'

/** Looks at what opens the store, here and when this machine is gone; nothing is asked. */
export async function checkKeys(
  store: Store,
  place: KeyPlace,
  signal?: AbortSignal,
): Promise<readonly Finding[]> {
  try {
    const repository = await openRepository(store, {create: false}, signal)
    if (!repository) return []
    if (!repository.protection)
      return [
        note(
          'keys',
          'the store was made without keys: nothing in it is encrypted, and nothing proves who wrote it',
          'a store made now has both: choose another prefix',
        ),
      ]
    const {list} = await readKeys(store, place, signal)
    const again = () => readSlots(store, repository.id, signal)
    return [
      good('keys', `the store is ${repository.protection} and opened by ${namesOf(list)}`),
      ...oddities(list),
      await wayIn(list, place, {again, repository: repository.id, url: store.url}),
      ...wayBack(list),
    ]
  } catch (error) {
    return [bad('keys', error)]
  }
}

function namesOf({slots}: SlotList): string {
  return slots.length === 0 ? 'nothing' : slots.map(nameOfSlot).join(', ')
}

function oddities({isCut, unusable}: SlotList): readonly Finding[] {
  return [
    ...unusable.map(({reason, slot}) => note('keys', `slot ${slot} cannot be used: ${reason}`)),
    ...(isCut
      ? [note('keys', 'more than 64 slots lie in the store', 'remove what is not yours')]
      : []),
  ]
}

async function wayIn(list: SlotList, {sources}: KeyPlace, of: Locked): Promise<Finding> {
  const {ask: _, ...silent} = sources
  try {
    const {slot, what} = await unlock(list, silent, of)
    return good('key', `${what} opens it (${nameOfSlot(slot)})`)
  } catch (error) {
    return bad('key', error)
  }
}

function wayBack({slots}: SlotList): readonly Finding[] {
  return slots.some(({kind}) => kind === 'recovery')
    ? []
    : [
        note(
          'recovery',
          'no recovery text opens the store: without this machine’s key everything in it is lost',
          'dumont key add --recovery',
        ),
      ]
}
