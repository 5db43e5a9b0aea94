import {groupsOf} from '../seal/secret-text.js'
import {makeSlot} from '../seal/slot.js'
import type {Keyring} from '../seal/keyring.js'
import type {Store} from '../store/store.js'
import {writeSecretFile} from './secret-file.js'
import {putSlot} from './slots.js'

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
  const bytes = random(32)
  if ('file' in keeping) await writeSecretFile(keeping.file, bytes)
  else if (!(await keeping.confirm(groupsOf(bytes)))) return undefined
  const created = new Date(await store.now(signal)).toISOString()
  const secret = {kind: 'drawn', bytes} as const
  const slot = await makeSlot({kind: 'recovery', label, created, keyring, secret}, random)
  await putSlot(store, slot, signal)
  return slot.slot
}
