import {readManifest} from '../snapshots/manifests.js'
import {openerOf} from '../snapshots/object-seals.js'
import type {StoreService} from '../snapshots/service.js'
import {readPacks, readStoredIndex} from '../snapshots/stored-index.js'
import type {Store} from '../store/store.js'
import type {Check, Refusal} from './receipt-terms.js'

const FEWEST_SLOTS = 2

/**
 * Whether a sealed snapshot can still be read once this machine is gone: at least two key slots in the store, one of them a
 * recovery text, and the store opened again from nothing but a slot and what opens it, down to one chunk. Other stores need no
 * keys to be read. Rejects INTEGRITY and KEY.
 */
export async function proveKeys(
  {coldUnlock, store}: Pick<StoreService, 'coldUnlock' | 'store'>,
  snapshotId: string,
  signal?: AbortSignal,
): Promise<{readonly checks: readonly Check[]; readonly refusals: readonly Refusal[]}> {
  if (store.keys?.protection !== 'sealed') return {checks: [], refusals: []}
  if (!coldUnlock) return {checks: [], refusals: [refusal('the keys could not be tried again')]}
  const {slots, store: reopened} = await coldUnlock(signal)
  const refusals: Refusal[] = []
  if (slots.length < FEWEST_SLOTS)
    refusals.push(
      refusal(
        `the store has ${slots.length} key ${slots.length === 1 ? 'slot' : 'slots'} with its newest keys: two are the least`,
      ),
    )
  if (!slots.some(({kind}) => kind === 'recovery'))
    refusals.push(
      refusal(
        'the store has no recovery text with its newest keys for the case that this machine is lost',
      ),
    )
  const opened = await openOneChunk(reopened, snapshotId, signal)
  const figures = {bytesOpened: opened, slots: slots.length}
  const what = 'the slots in the store, opened again, gave keys that open the snapshot'
  return {checks: [{by: 'operator', figures, rule: 'keys', what}], refusals}
}

function refusal(message: string): Refusal {
  const remedy = 'dumont key add --recovery, write its text down, then hibernate again'
  return {message, remedy, rule: 'keys'}
}

/** Manifest, list, index and the first chunk, all with the keys of this store; 0 for a snapshot without contents. */
async function openOneChunk(store: Store, id: string, signal?: AbortSignal): Promise<number> {
  const {manifest} = await readManifest(store, id, signal)
  const packs = await readPacks(store, manifest, signal)
  for await (const line of readStoredIndex(store, manifest, packs, signal)) {
    const pack = line.sort === 'chunk' ? packs[line.chunk.pack] : undefined
    if (line.sort !== 'chunk' || !pack) continue
    const {at, stored} = line.chunk
    const range = [at, at + stored - 1] as const
    const record = await store.get(pack.key, {limit: stored, range}, signal)
    return openerOf(store, pack)?.(record, at).length ?? 0
  }
  return 0
}
