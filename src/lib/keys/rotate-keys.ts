import {DumontError} from '../errors.js'
import {type Keyring, withNewMaster} from '../seal/keyring.js'
import {makeSlot, type Slot, type SlotDraft} from '../seal/slot.js'
import type {OpenedKeys} from './opened-keys.js'
import {addRecovery, type RecoveryKeeping, withdrawRecovery} from './recovery.js'
import {keyFileOf, replaceSecretFile} from './secret-file.js'
import {putSlot, readSlots, removeSlots} from './slots.js'

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
  // The old key is where it was, and nobody will ever have the new one.
  const takeBack = async () => {
    await removeSlots(store, [own.slot])
    await withdrawRecovery(store, kept, {keeping: recovery, keyring})
  }
  await refuseRivals(opened, [kept, own.slot], takeBack, signal)
  const file = await replaceOwn(opened, own.bytes).catch(async (error: unknown) => {
    await takeBack()
    throw error
  })
  const removed = list.slots.map(({slot}) => slot)
  await removeSlots(store, removed, signal)
  const master = keyring.masters.at(-1)?.id ?? ''
  return {master, recovery: kept, removed, slot: own.slot, ...(file !== undefined && {file})}
}

interface Own {
  readonly slot: string
  /** Of a key that is still to be written down. */
  readonly bytes?: Uint8Array
}

/** The slot in use once more: for the same passphrase, or for a new key. */
async function remakeOwn(
  {place, store, unlocked}: OpenedKeys,
  keyring: Keyring,
  created: string,
  signal: AbortSignal | undefined,
): Promise<Own> {
  const {label} = unlocked.slot
  const make = async (draft: Pick<SlotDraft, 'kind' | 'secret'>) => {
    const slot = await makeSlot({...draft, created, keyring, label}, place.random)
    await putSlot(store, slot, signal)
    return slot.slot
  }
  if (unlocked.secret.kind === 'passphrase')
    return {slot: await make({kind: 'passphrase', secret: unlocked.secret})}
  const bytes = place.random(32)
  return {bytes, slot: await make({kind: 'file', secret: {bytes, kind: 'drawn'}})}
}

/** Two rotations at once would leave two masters that do not know each other: of two, at least one sees the other's slots. */
async function refuseRivals(
  {list, repository, store}: OpenedKeys,
  ours: readonly string[],
  takeBack: () => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const known = new Set([...ours, ...list.slots.map(({slot}) => slot)])
  const now = await readSlots(store, repository.id, signal)
  if (now.slots.every(({slot}) => known.has(slot))) return
  await takeBack()
  throw new DumontError('STORE_BUSY', 'somebody else is changing the keys of this store', {
    hint: 'nothing was rotated, and the new recovery text opens nothing; look at dumont key list, then run it again',
    retry: 'later',
  })
}

/** Into the file that was read, else into this machine's, in one step. */
async function replaceOwn(
  {place, repository, unlocked}: OpenedKeys,
  bytes: Uint8Array | undefined,
): Promise<string | undefined> {
  if (!bytes) return undefined
  const file = unlocked.file ?? keyFileOf(place.sources.directory, repository.id)
  await replaceSecretFile(file, bytes)
  return file
}
