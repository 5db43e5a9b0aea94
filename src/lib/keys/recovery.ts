import {groupsOf} from '../seal/secret-text.js'
import {makeSlot} from '../seal/slot.js'
import type {Keyring} from '../seal/keyring.js'
import type {Store} from '../store/store.js'
import {fileSlot} from './file-slot.js'
import {unpublish} from './secret-draft.js'
import {putSlot, removeSlots} from './slots.js'

/** How a recovery text gets to where it is kept. */
export type RecoveryKeeping =
  | {
      /** Shows the groups once; answers whether they were written down, shown by typing some of them. */
      readonly confirm: (groups: readonly string[]) => Promise<boolean>
    }
  | {/** A file to be made, for its owner alone. */ readonly file: string}

interface Draft {
  readonly keyring: Keyring
  readonly label?: string
  readonly keeping: RecoveryKeeping
}

/**
 * Adds a slot that only a text on paper opens. It is put into the store when the text has been kept, so that a recovery slot
 * means that somebody has it. The slot's name; undefined when it was not kept.
 */
export async function addRecovery(
  store: Store,
  random: (count: number) => Uint8Array,
  {keeping, keyring, label = ''}: Draft,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const begun = {keyring, kind: 'recovery', label} as const
  if ('file' in keeping) return fileSlot(store, random, {...begun, file: keeping.file}, signal)
  const bytes = random(32)
  if (!(await keeping.confirm(groupsOf(bytes)))) return undefined
  const created = new Date(await store.now(signal)).toISOString()
  const slot = await makeSlot({...begun, created, secret: {kind: 'drawn', bytes}}, random)
  await putSlot(store, slot, signal)
  return slot.slot
}

/** Takes back what was added: a text in a file loses the name that says it opens the store. */
export async function withdrawRecovery(
  store: Store,
  slot: string,
  {keeping, keyring}: Pick<Draft, 'keeping' | 'keyring'>,
  signal?: AbortSignal,
): Promise<void> {
  await removeSlots(store, [slot], signal)
  if ('file' in keeping) await unpublish(keeping.file, keyring.repository)
}
