import {DumontError} from '../errors.js'
import {type OpenedRepository, openRepository} from '../store/repository.js'
import type {Store} from '../store/store.js'
import type {KeyPlace} from './open-keyed.js'
import {requireProtection} from './refusals.js'
import {readSlots, type SlotList} from './slots.js'
import {openStorePin} from './store-pin.js'
import {type Unlocked, unlock} from './unlock.js'

/** The slots of a store, as they lie there. */
export interface KeySlots {
  readonly store: Store
  readonly repository: OpenedRepository
  readonly list: SlotList
}

/** The same with the keyring: what changing slots takes. */
export interface OpenedKeys extends KeySlots {
  readonly place: KeyPlace
  readonly unlocked: Unlocked
}

/** Rejects with USAGE where there are no keys to speak of. */
export async function readKeys(
  store: Store,
  {location, stateDir}: KeyPlace,
  signal?: AbortSignal,
): Promise<KeySlots> {
  const repository = await openRepository(store, {create: false}, signal)
  await openStorePin(stateDir, location).check(repository)
  if (!repository?.protection)
    throw new DumontError(
      'USAGE',
      repository ? `${store.url} was made without keys` : `${store.url} holds nothing yet`,
      {
        hint: repository
          ? 'keys come with a new store: choose another prefix'
          : 'dumont init makes it, with its keys',
      },
    )
  return {list: await readSlots(store, repository.id, signal), repository, store}
}

export async function openKeysOf(
  store: Store,
  place: KeyPlace,
  signal?: AbortSignal,
): Promise<OpenedKeys> {
  const read = await readKeys(store, place, signal)
  const again = () => readSlots(store, read.repository.id, signal)
  const of = {again, repository: read.repository.id, url: store.url}
  const unlocked = await unlock(read.list, place.sources, of)
  requireProtection(store, read.repository, unlocked.keyring)
  return {...read, place, unlocked}
}
