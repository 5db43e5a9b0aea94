import {makeSlot} from '../seal/slot.js'
import {fileSlot} from './file-slot.js'
import type {OpenedKeys} from './opened-keys.js'
import {putSlot} from './slots.js'

/** Another way into a store: words, or a key file that is made here. */
export type NewKey =
  | {readonly kind: 'file'; readonly file: string}
  | {readonly kind: 'passphrase'; readonly text: string}

/** The name of the new slot; a key file is on the disk before its slot is in the store, and has its name after. */
export async function addSlot(
  {place: {random}, store, unlocked: {keyring}}: Pick<OpenedKeys, 'place' | 'store' | 'unlocked'>,
  key: NewKey,
  label = '',
  signal?: AbortSignal,
): Promise<string> {
  if (key.kind === 'file') return fileSlot(store, random, {...key, keyring, label}, signal)
  const created = new Date(await store.now(signal)).toISOString()
  const secret = {kind: 'passphrase', text: key.text} as const
  const slot = await makeSlot({created, keyring, kind: key.kind, label, secret}, random)
  await putSlot(store, slot, signal)
  return slot.slot
}
