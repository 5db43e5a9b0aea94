import {DumontError} from '../errors.js'
import {ownKind} from './keyed-store.js'
import type {Store} from './store.js'

const ATTEMPTS = 3

/**
 * Creates an object once and looks when the store says it exists: a retried PUT may have been accepted unheard.
 * `same`: exactly these bytes are there; `different`: another's, so the caller takes another key.
 */
export async function createSettled(
  store: Store,
  key: string,
  body: Uint8Array,
  signal?: AbortSignal,
): Promise<'created' | 'different' | 'same'> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    if ((await store.put(key, body, {}, signal)) === 'created') return 'created'
    const info = await store.head(key, signal)
    // A refusal for a conflict that ended without an object: try again.
    if (!info) continue
    // What is closed on its way in is longer as it lies there.
    const isClosed = store.keys !== undefined && ownKind(key) !== undefined
    if (!isClosed && info.length !== body.length) return 'different'
    const stored = await store.get(key, isClosed ? {} : {limit: body.length}, signal)
    return Buffer.compare(stored, body) === 0 ? 'same' : 'different'
  }
  throw new DumontError('STORE_BUSY', `${store.url} neither creates nor shows ${key}`, {
    hint: 'another program may be writing to the same place; run the command again later',
    retry: 'later',
  })
}
