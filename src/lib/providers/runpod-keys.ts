import * as v from 'valibot'
import {isProviderError} from './provider-error.js'
import type {VendorApi} from './vendor-api.js'

const keysSchema = v.object({keys: v.array(v.string())})
const PATH = '/v2/account/ssh-keys'

/**
 * Adds keys to the account and returns all that shall be able to log in: a pod gets exactly the keys it is created with. The vendor
 * replaces the whole set, so it is read first and nothing of it is left out. A key of dumont that may not do this is no
 * hindrance: the pod is told its keys itself.
 */
export async function withAccountKeys(
  api: VendorApi,
  publicKeys: readonly string[],
  signal?: AbortSignal,
): Promise<readonly string[]> {
  try {
    const {keys} = await api.call(
      {operation: 'read SSH keys', method: 'GET', path: PATH, schema: keysSchema},
      signal,
    )
    const known = new Set(keys.map(identityOf))
    const all = [...keys, ...publicKeys.filter((key) => !known.has(identityOf(key)))]
    if (all.length > keys.length)
      await api.call(
        {
          operation: 'add SSH key',
          method: 'PUT',
          path: PATH,
          body: {keys: all},
          schema: v.unknown(),
        },
        signal,
      )
    return all
  } catch (error) {
    if (isProviderError(error) && error.failure === 'SCOPE') return publicKeys
    throw error
  }
}

/** Type and key; the comment is nobody's identity. */
function identityOf(key: string): string {
  return key.trim().split(/\s+/u).slice(0, 2).join(' ')
}
