import {DumontError, isDumontError} from '../errors.js'
import {type Slot, SLOT_LIMIT, parseSlot, serialiseSlot} from '../seal/slot.js'
import {createSettled} from '../store/settle.js'
import type {Store} from '../store/store.js'

const MOST_SLOTS = 64

/** What lies under `keys/` of a store. */
export interface SlotList {
  /** Of this repository; only opening one proves it. */
  readonly slots: readonly Slot[]
  /** Names of slots that cannot be used, and why. */
  readonly unusable: readonly {readonly slot: string; readonly reason: string}[]
  /** There are more than are read. */
  readonly isCut: boolean
}

/** Reads the first 64 slots, none of more than 64 KiB; once more what cannot be used, for it may have been altered on its way. */
export async function readSlots(
  store: Store,
  repository: string,
  signal?: AbortSignal,
): Promise<SlotList> {
  const {found, isCut} = await listSlots(store, signal)
  const read = await Promise.all(
    found.map(async (each) => {
      const slot = await readSlot(store, repository, each, signal)
      return 'reason' in slot ? readSlot(store, repository, each, signal) : slot
    }),
  )
  return {
    slots: read.flatMap((each) => ('reason' in each ? [] : [each])),
    unusable: read.flatMap((each) => ('reason' in each ? [each] : [])),
    isCut,
  }
}

interface Listed {
  readonly name: string
  readonly length: number
}

async function readSlot(
  store: Store,
  repository: string,
  {length, name}: Listed,
  signal: AbortSignal | undefined,
): Promise<Slot | SlotList['unusable'][number]> {
  const unusable = (reason: string) => ({slot: name, reason})
  if (length > SLOT_LIMIT) return unusable('too large')
  try {
    const slot = parseSlot(await store.get(keyOf(name), {limit: SLOT_LIMIT}, signal))
    if (slot.slot !== name) return unusable(`a copy of slot ${slot.slot}`)
    return slot.repository === repository ? slot : unusable('of another store')
  } catch (error) {
    if (!isDumontError(error) || !['FORMAT_NEWER', 'INTEGRITY'].includes(error.code)) throw error
    return unusable(error.message)
  }
}

/** Slots are made once and never changed. */
export async function putSlot(store: Store, slot: Slot, signal?: AbortSignal): Promise<void> {
  const outcome = await createSettled(store, keyOf(slot.slot), serialiseSlot(slot), signal)
  if (outcome === 'different')
    throw new DumontError('STORE_BUSY', `another key slot ${slot.slot} is there already`, {
      hint: 'run the command again',
      retry: 'later',
    })
}

export async function removeSlots(
  store: Store,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  await store.remove(names.map(keyOf), signal)
}

async function listSlots(store: Store, signal: AbortSignal | undefined) {
  const found: Listed[] = []
  for await (const {key, length} of store.list('keys/', signal)) {
    const [, name] = /^keys\/([0-9a-f]{16})\.json$/.exec(key) ?? []
    if (name === undefined) continue
    if (found.length === MOST_SLOTS) return {found, isCut: true}
    found.push({name, length})
  }
  return {found, isCut: false}
}

function keyOf(slot: string): string {
  return `keys/${slot}.json`
}
