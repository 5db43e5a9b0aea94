import {rm} from 'node:fs/promises'
import type {Protection} from '../seal/store-keys.js'
import {withNewMaster} from '../seal/keyring.js'
import {makeSlot, type Slot} from '../seal/slot.js'
import {type OpenedRepository, openRepository} from '../store/repository.js'
import type {Store} from '../store/store.js'
import {keyFileOf, writeSecretFile} from './secret-file.js'
import {putSlot, removeSlots} from './slots.js'
import type {Unlocked} from './unlock.js'

interface FirstUse {
  readonly protection: Protection
  /** Of this machine's key files. */
  readonly directory: string
  readonly random: (count: number) => Uint8Array
}

interface Begun {
  readonly repository: OpenedRepository
  /** Absent when another was first; nothing of ours is left then. */
  readonly unlocked?: Unlocked
}

/**
 * Makes a store with keys: first a key file is on this machine's disk, then its slot is in the store, then `dumont.json`. Cut short
 * in between, there is no store yet, and the next first use begins anew.
 */
export async function beginStore(
  store: Store,
  {directory, protection, random}: FirstUse,
  signal?: AbortSignal,
): Promise<Begun> {
  let ours: {readonly unlocked: Unlocked; readonly file: string; readonly slot: Slot} | undefined
  const prepare = async (repository: string) => {
    const created = new Date(await store.now(signal)).toISOString()
    const keyring = withNewMaster({repository, protection, masters: []}, created, random)
    if (!keyring) throw new Error('a new keyring is full')
    const secret = {kind: 'drawn', bytes: random(32)} as const
    const slot = await makeSlot({kind: 'file', label: '', created, keyring, secret}, random)
    const file = keyFileOf(directory, repository)
    await writeSecretFile(file, secret.bytes)
    ours = {file, slot, unlocked: {file, isOwn: true, keyring, secret, slot, what: file}}
    await putSlot(store, slot, signal)
  }
  const repository = await openRepository(
    store,
    {create: true, founding: {prepare, protection}},
    signal,
  )
  if (!ours) return {repository}
  if (repository.id === ours.slot.repository) return {repository, unlocked: ours.unlocked}
  // Another was first, and its store is in order; what we made opens nothing.
  await removeSlots(store, [ours.slot.slot], signal)
  await rm(ours.file, {force: true})
  return {repository}
}
