import {makeSlot} from '../seal/slot.js'
import type {OpenedKeys} from './opened-keys.js'
import {keyFileOf, readSecretFile, replaceSecretFile} from './secret-file.js'
import {putSlot} from './slots.js'

/** What opens a store here from now on. */
export interface Imported {
  readonly slot: string
  readonly file: string
  /** It was so before. */
  readonly wasThere: boolean
}

/** Gives this machine a key of its own to a store that was opened with another. */
export async function importKey(
  {place, repository, store, unlocked}: OpenedKeys,
  label = '',
  signal?: AbortSignal,
): Promise<Imported> {
  const file = keyFileOf(place.sources.directory, repository.id)
  if (unlocked.isOwn) return {file, slot: unlocked.slot.slot, wasThere: true}
  // One that opens nothing any more may still be wanted when the bucket is put back from a copy.
  const old = await readSecretFile(file)
  if (old && !(await readSecretFile(`${file}.old`))) await replaceSecretFile(`${file}.old`, old)
  const created = new Date(await store.now(signal)).toISOString()
  const bytes = place.random(32)
  const {keyring} = unlocked
  const secret = {kind: 'drawn', bytes} as const
  const slot = await makeSlot({kind: 'file', created, keyring, label, secret}, place.random)
  await replaceSecretFile(file, bytes)
  await putSlot(store, slot, signal)
  return {file, slot: slot.slot, wasThere: false}
}
