import {DumontError} from '../errors.js'
import {openKeys, unprovenKeys} from '../seal/open-keys.js'
import type {Protection, StoreKeys} from '../seal/store-keys.js'
import {isDumontError} from '../errors.js'
import {keyedStore} from '../store/keyed-store.js'
import {type OpenedRepository, openRepository} from '../store/repository.js'
import type {StoreLocation} from '../store/store-location.js'
import type {Store} from '../store/store.js'
import {beginStore} from './first-use.js'
import {addRecovery, type RecoveryKeeping} from './recovery.js'
import {refuseDowngrade, refuseOther, requireProtection} from './refusals.js'
import {isBegun} from './secret-draft.js'
import {readSlots} from './slots.js'
import type {KeySources} from './sources.js'
import {openStorePin} from './store-pin.js'
import {type Unlocked, unlock} from './unlock.js'

/** What a machine brings to a store with keys. */
export interface KeyPlace {
  readonly location: StoreLocation
  readonly sources: KeySources
  readonly stateDir: string
  readonly random: (count: number) => Uint8Array
  readonly notice: (message: string) => void
  /** The command is going to write: one that could only read is refused before it begins. */
  readonly writes?: boolean
}

/** What a command that may be a store's first wishes. */
export interface Beginning {
  /** Whether a new store is sealed; else it is authenticated. */
  readonly encryption: boolean
  /** It was asked for on this command, so a store that is otherwise is refused. */
  readonly isAsked: boolean
  /** Absent where nobody can be asked and no file was named. */
  readonly recovery?: RecoveryKeeping
}

export interface KeyedStore {
  readonly store: Store
  readonly repository?: OpenedRepository
  /** Absent where there are no keys, or none is at hand and the store can be read without. */
  readonly unlocked?: Unlocked
}

/**
 * Looks which repository a store holds, holds it against what this machine remembers, and opens it with what is at hand. With
 * `beginning` a store that is not there yet is made. Rejects with KEY when no key opens it, and INTEGRITY when it is another.
 */
export async function openKeyedStore(
  store: Store,
  place: KeyPlace,
  beginning?: Beginning,
  signal?: AbortSignal,
): Promise<KeyedStore> {
  const pin = openStorePin(place.stateDir, place.location)
  const existing = await openRepository(store, {create: false}, signal)
  await pin.check(existing)
  if (existing) {
    if (beginning?.isAsked) refuseOther(store, existing, beginning)
    const opened = await openExisting(
      store,
      existing,
      {...place, writes: place.writes ?? beginning !== undefined},
      signal,
    )
    return keepLateRecovery(opened, place, beginning, signal)
  }
  if (!beginning) return {store}
  const {directory} = place.sources
  const protection: Protection = beginning.encryption ? 'sealed' : 'authenticated'
  const {random} = place
  const {repository, unlocked} = await beginStore(store, {directory, protection, random}, signal)
  await pin.check(repository)
  for (const note of repository.notes) place.notice(note)
  if (!unlocked) return openExisting(store, repository, {...place, writes: true}, signal)
  const begun = {repository, unlocked, store: withKeys(store, repository, unlocked, place)}
  await keepRecovery(begun, place, beginning, signal)
  return begun
}

async function openExisting(
  store: Store,
  repository: OpenedRepository,
  {writes, ...place}: KeyPlace & {readonly writes: boolean},
  signal: AbortSignal | undefined,
): Promise<KeyedStore> {
  const {protection} = repository
  if (!protection) {
    await refuseDowngrade(store, repository, place.sources)
    return {repository, store}
  }
  const again = () => readSlots(store, repository.id, signal)
  const slots = await again()
  try {
    const of = {again, repository: repository.id, url: store.url}
    const unlocked = await unlock(slots, place.sources, of)
    requireProtection(store, repository, unlocked.keyring)
    return {repository, unlocked, store: withKeys(store, repository, unlocked, place)}
  } catch (error) {
    const isReadable =
      protection === 'authenticated' && isDumontError(error) && error.code === 'KEY'
    // Who is going to write is told now, not when all is sent.
    if (!isReadable || writes) throw error
    place.notice(`${error.message}: what is read is not proven, and nothing can be written`)
    return {repository, store: {...keyedStore(store, unprovenKeys()), put: refuse, remove: refuse}}
  }
}

/** Also what carries no MAC: who can prove nothing should not remove anything either. */
async function refuse(): Promise<never> {
  throw new DumontError('KEY', 'this machine has no key to write to this store', {
    hint: 'bring one over: dumont key import',
  })
}

function withKeys(
  store: Store,
  {protection}: OpenedRepository,
  {keyring}: Unlocked,
  {random}: KeyPlace,
): Store {
  if (!protection) return store
  const keys: StoreKeys = openKeys(keyring, protection, random)
  return keyedStore(store, keys)
}

/** A command that was cut short after it made the store is run again. */
async function keepLateRecovery(
  opened: KeyedStore,
  place: KeyPlace,
  beginning: Beginning | undefined,
  signal: AbortSignal | undefined,
): Promise<KeyedStore> {
  const {repository, store, unlocked} = opened
  if (!beginning?.recovery || !('file' in beginning.recovery)) return opened
  if (!repository || !unlocked)
    throw new DumontError('USAGE', `${store.url} has no keys, so there is nothing to recover`, {
      hint: 'leave --recovery-file out',
    })
  const {slots} = await readSlots(store, repository.id, signal)
  const isKept = slots.some(({kind}) => kind === 'recovery')
  if (isKept && !(await isBegun(beginning.recovery.file, repository.id)))
    place.notice(
      `${store.url} has a recovery text already; ${beginning.recovery.file} is not written`,
    )
  else await keepRecovery(opened, place, beginning, signal)
  return opened
}

async function keepRecovery(
  {store, unlocked}: KeyedStore,
  {notice, random}: KeyPlace,
  {recovery}: Beginning,
  signal: AbortSignal | undefined,
): Promise<void> {
  const kept =
    recovery && unlocked
      ? await addRecovery(store, random, {keeping: recovery, keyring: unlocked.keyring}, signal)
      : undefined
  if (kept === undefined)
    notice('only this machine can open the store: run dumont key add --recovery')
  // Who wrote it down must know that it counts: a command may be killed right before. A file has its name only now.
  else if (recovery && 'confirm' in recovery)
    notice('the recovery text opens the store from now on')
}
