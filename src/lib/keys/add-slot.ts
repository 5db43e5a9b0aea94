import {makeSlot, type SlotDraft} from '../seal/slot.js'
import {writeSecretFile} from './secret-file.js'
import type {OpenedKeys} from './opened-keys.js'
import {putSlot} from './slots.js'

/** Another way into a store: words, or a key file that is made here. */
export type NewKey =
  | {readonly kind: 'file'; readonly file: string}
  | {readonly kind: 'passphrase'; readonly text: string}

/** The name of the new slot; a key file is on the disk before its slot is in the store. */
export async function addSlot(
  {place, store, unlocked: {keyring}}: Pick<OpenedKeys, 'place' | 'store' | 'unlocked'>,
  key: NewKey,
  label = '',
  signal?: AbortSignal,
): Promise<string> {
  const created = new Date(await store.now(signal)).toISOString()
  const draft: Omit<SlotDraft, 'secret'> = {created, keyring, kind: key.kind, label}
  if (key.kind === 'passphrase') {
    const secret = {kind: 'passphrase', text: key.text} as const
    return put(await makeSlot({...draft, secret}, place.random))
  }
  const bytes = place.random(32)
  await writeSecretFile(key.file, bytes)
  return put(await makeSlot({...draft, secret: {kind: 'drawn', bytes}}, place.random))

  async function put(slot: Awaited<ReturnType<typeof makeSlot>>): Promise<string> {
    await putSlot(store, slot, signal)
    return slot.slot
  }
}
