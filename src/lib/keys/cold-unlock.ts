import {DumontError} from '../errors.js'
import type {Keyring} from '../seal/keyring.js'
import type {SlotKind} from '../seal/slot.js'
import {openRepository} from '../store/repository.js'
import type {Store} from '../store/store.js'
import {readSecretFile} from './secret-file.js'
import {readSlots} from './slots.js'
import {openWith, type Unlocked} from './unlock.js'

/** What was found when a store was opened once more from nothing but itself and what is at hand. */
export interface ColdUnlock {
  /** Slots that could be opened by whoever has their secret. */
  readonly slots: number
  /** A recovery text was written down, and shown to have been. */
  readonly hasRecovery: boolean
  /** The slot that was opened. */
  readonly slot: string
  readonly kind: SlotKind
  /** What it held: to try on a pack. */
  readonly keyring: Keyring
}

/**
 * Reads `dumont.json` and the slots back from the store, the key file from the disk, and opens one again. Rejects with KEY when
 * that fails or leads to other keys than those in use.
 */
export async function coldUnlock(
  store: Store,
  unlocked: Unlocked,
  signal?: AbortSignal,
): Promise<ColdUnlock> {
  const {file, keyring, what} = unlocked
  const repository = await openRepository(store, {create: false}, signal)
  if (repository?.id !== keyring.repository || !repository.protection)
    throw new DumontError('INTEGRITY', `${store.url} is not the store that was opened`)
  const bytes = file === undefined ? undefined : await readSecretFile(file)
  if (file !== undefined && !bytes) throw new DumontError('KEY', `${file} is not there any more`)
  const secret = bytes ? ({kind: 'drawn', bytes} as const) : unlocked.secret
  const {slots} = await readSlots(store, repository.id, signal)
  const found = await openWith(slots, secret)
  if (found?.keyring.masters.at(-1)?.id !== keyring.masters.at(-1)?.id || !found)
    throw new DumontError('KEY', `${what} does not open ${store.url} any more`, {
      hint: 'somebody removed its slot or rotated the keys: dumont key list',
    })
  return {
    slots: slots.length,
    hasRecovery: slots.some(({kind}) => kind === 'recovery'),
    slot: found.slot.slot,
    kind: found.slot.kind,
    keyring: found.keyring,
  }
}
