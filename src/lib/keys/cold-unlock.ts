import {DumontError} from '../errors.js'
import {openKeys} from '../seal/open-keys.js'
import {isVouchedFor, type Slot} from '../seal/slot.js'
import {keyedStore} from '../store/keyed-store.js'
import {openRepository} from '../store/repository.js'
import type {Store} from '../store/store.js'
import {requireProtection} from './refusals.js'
import {readSecretFile} from './secret-file.js'
import {readSlots} from './slots.js'
import {openSurely, type Unlocked} from './unlock.js'

/** A store that was opened once more from nothing but itself and what is at hand. */
export interface ColdUnlock {
  /** Those that hold the newest keys, for whoever has their secret; one for a recovery text means that it was written down. */
  readonly slots: readonly Slot[]
  readonly store: Store
}

/**
 * Reads `dumont.json` and the slots back from the store, the key file from the disk, and opens the store again. Rejects with KEY
 * when that fails or leads to other keys than those in use. `store` is the one without keys.
 */
export async function coldUnlock(
  store: Store,
  unlocked: Unlocked,
  random: (count: number) => Uint8Array,
  signal?: AbortSignal,
): Promise<ColdUnlock> {
  const {file, keyring, what} = unlocked
  const repository = await openRepository(store, {create: false}, signal)
  if (repository?.id !== keyring.repository || !repository.protection)
    throw new DumontError('INTEGRITY', `${store.url} is not the store that was opened`)
  const bytes = file === undefined ? undefined : await readSecretFile(file)
  if (file !== undefined && !bytes) throw new DumontError('KEY', `${file} is not there any more`)
  const secret = bytes ? ({kind: 'drawn', bytes} as const) : unlocked.secret
  const again = () => readSlots(store, repository.id, signal)
  const {slots} = await again()
  const found = await openSurely(slots, secret, again)
  if (!found || found.keyring.masters.at(-1)?.id !== keyring.masters.at(-1)?.id)
    throw new DumontError('KEY', `${what} does not open ${store.url} any more`, {
      hint: 'somebody removed its slot or rotated the keys: dumont key list',
    })
  requireProtection(store, repository, found.keyring)
  const keys = openKeys(found.keyring, repository.protection, random)
  const current = slots.filter((slot) => isVouchedFor(slot, found.keyring))
  return {slots: current, store: keyedStore(store, keys)}
}
