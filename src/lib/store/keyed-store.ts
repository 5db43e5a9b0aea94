import {DumontError, isDumontError} from '../errors.js'
import type {OwnKind, StoreKeys} from '../seal/store-keys.js'
import {GET_LIMIT, tooLong} from './collect.js'
import type {Store} from './store.js'

/**
 * The same store for whoever has its keys: manifests and records are sealed, or given their MAC, on their way in, and proven on
 * their way out. `get` takes limits of the plain bytes and rejects INTEGRITY for what is not ours; listings and `head` tell
 * lengths and checksums as stored. Packs and index objects pass as they are: who reads them has their seals from elsewhere.
 */
export function keyedStore(store: Store, keys: StoreKeys): Store {
  return {
    url: store.url,
    reach: store.reach,
    keys,
    ...(store.gateway && {gateway: store.gateway}),
    ...(store.endurance && {endurance: store.endurance.bind(store)}),
    async put(key, body, options, signal) {
      const kind = ownKind(key)
      return store.put(key, kind ? keys.close(kind, key, body) : body, options, signal)
    },
    async get(key, options = {}, signal) {
      const kind = ownKind(key)
      if (!kind) return store.get(key, options, signal)
      const {limit = GET_LIMIT, range} = options
      if (range) throw new RangeError(`a range of ${key}, which is closed as a whole`)
      const stored = await store.get(key, {limit: closedLimit(limit)}, signal)
      const plain = revealed(keys, kind, key, stored)
      if (plain.length > limit) throw tooLong(key, limit)
      return plain
    },
    head: (key, signal) => store.head(key, signal),
    list: (prefix, signal) => store.list(prefix, signal),
    remove: (removed, signal) => store.remove(removed, signal),
    sign: (request) => store.sign(request),
    now: (signal) => store.now(signal),
    close: () => store.close(),
  }
}

/** What the operator's machine itself seals or authenticates; undefined for everything else. */
export function ownKind(key: string): OwnKind | undefined {
  if (/^snapshots\/[^/]+\.json$/.test(key)) return 'manifest'
  return key.startsWith('instances/') ? 'record' : undefined
}

/** What is not ours is told with its name. */
function revealed(keys: StoreKeys, kind: OwnKind, key: string, stored: Uint8Array): Uint8Array {
  try {
    return keys.reveal(kind, key, stored)
  } catch (error) {
    if (!isDumontError(error)) throw error
    const {code, hint} = error
    throw new DumontError(code, `${key}: ${error.message}`, {
      cause: error,
      ...(hint === undefined ? {} : {hint}),
    })
  }
}

/** Base64 of the plain bytes with header and tag, in a line of JSON. */
function closedLimit(plain: number): number {
  return Math.ceil(plain / 3) * 4 + 512
}
