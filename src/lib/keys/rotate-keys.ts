import {DumontError} from '../errors.js'
import {type Keyring, withNewMaster} from '../seal/keyring.js'
import {makeSlot, type Slot, type SlotDraft} from '../seal/slot.js'
import type {OpenedKeys} from './opened-keys.js'
import {addRecovery, type RecoveryKeeping} from './recovery.js'
import {keyFileOf, replaceSecretFile} from './secret-file.js'
import {putSlot, removeSlots} from './slots.js'

interface Rotation {
  readonly recovery: RecoveryKeeping
  /** Whether to go on; every slot named here is removed in the end. */
  readonly confirm: (doomed: readonly Slot[]) => Promise<boolean>
}

/** What a rotation made and removed. */
export interface Rotated {
  /** The master that seals from now on. */
  readonly master: string
  readonly slot: string
  readonly recovery: string
  /** Where the new key of this machine is; absent where a passphrase opens the store. */
  readonly file?: string
  readonly removed: readonly string[]
}

/**
 * A new master, a new recovery text and a new key here; then the old slots go. New ones come first and a key file is replaced in one
 * step, so that whatever is cut short leaves a way in. Undefined, with nothing changed, when somebody said no.
 */
export async function rotateKeys(
  opened: OpenedKeys,
  {confirm, recovery}: Rotation,
  signal?: AbortSignal,
): Promise<Rotated | undefined> {
  const {list, place, store, unlocked} = opened
  const created = new Date(await store.now(signal)).toISOString()
  const keyring = withNewMaster(unlocked.keyring, created, place.random)
  if (!keyring)
    throw new DumontError('KEY', 'the keys were rotated fifteen times, and none is ever dropped', {
      hint: 'begin a new store: choose another prefix',
    })
  if (!(await confirm(list.slots))) return undefined
  const kept = await addRecovery(store, place.random, {keeping: recovery, keyring}, signal)
  if (kept === undefined) return undefined
  const own = await remakeOwn(opened, keyring, created, signal)
  const removed = list.slots.map(({slot}) => slot)
  await removeSlots(store, removed, signal)
  return {master: keyring.masters.at(-1)?.id ?? '', recovery: kept, removed, ...own}
}

/** The slot in use once more: the same passphrase, or a new key in the file that was read, else in this machine's. */
async function remakeOwn(
  {place, repository, store, unlocked}: OpenedKeys,
  keyring: Keyring,
  created: string,
  signal: AbortSignal | undefined,
): Promise<Pick<Rotated, 'file' | 'slot'>> {
  const {label} = unlocked.slot
  const make = async (draft: Pick<SlotDraft, 'kind' | 'secret'>) => {
    const slot = await makeSlot({...draft, created, keyring, label}, place.random)
    await putSlot(store, slot, signal)
    return slot.slot
  }
  if (unlocked.secret.kind === 'passphrase')
    return {slot: await make({kind: 'passphrase', secret: unlocked.secret})}
  const bytes = place.random(32)
  const slot = await make({kind: 'file', secret: {bytes, kind: 'drawn'}})
  const file = unlocked.file ?? keyFileOf(place.sources.directory, repository.id)
  try {
    await replaceSecretFile(file, bytes)
  } catch (error) {
    // The old key is where it was, and nobody will ever have the new one.
    await removeSlots(store, [slot])
    throw error
  }
  return {file, slot}
}
