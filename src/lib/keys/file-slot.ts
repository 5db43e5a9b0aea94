import type {Keyring} from '../seal/keyring.js'
import {makeSlot, type SlotKind} from '../seal/slot.js'
import type {Store} from '../store/store.js'
import {draftSecret} from './secret-draft.js'
import {putSlot, readSlots} from './slots.js'
import {openWith} from './unlock.js'

interface FileSlot {
  readonly file: string
  readonly keyring: Keyring
  readonly kind: Exclude<SlotKind, 'passphrase'>
  readonly label: string
}

/**
 * Draws a key into a new file, and puts its slot into the store; the file has its name only then. When an earlier command was cut
 * short in between, goes on with what that one drew. The slot's name.
 */
export async function fileSlot(
  store: Store,
  random: (count: number) => Uint8Array,
  {file, ...draft}: FileSlot,
  signal?: AbortSignal,
): Promise<string> {
  const {keyring, kind} = draft
  const {bytes, publish, wasBegun} = await draftSecret(file, keyring.repository, random)
  const secret = {bytes, kind: 'drawn'} as const
  let name = wasBegun ? await stored() : undefined
  if (name === undefined) {
    const created = new Date(await store.now(signal)).toISOString()
    const slot = await makeSlot({...draft, created, secret}, random)
    await putSlot(store, slot, signal)
    name = slot.slot
  }
  await publish()
  return name

  async function stored(): Promise<string | undefined> {
    const {slots} = await readSlots(store, keyring.repository, signal)
    const same = slots.filter((slot) => slot.kind === kind)
    const found = await openWith(same, secret)
    const isSame = found?.keyring.masters.at(-1)?.id === keyring.masters.at(-1)?.id
    return isSame ? found?.slot.slot : undefined
  }
}
