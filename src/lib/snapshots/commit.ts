import {DumontError} from '../errors.js'
import {encodeManifest, manifestKey, type Manifest} from '../format/manifest.js'
import {createSettled} from '../store/settle.js'
import type {Store} from '../store/store.js'

/** Past this the commit has been tried for so long that only looking helps. */
const COMMIT_MS = 120_000

/**
 * Writes the manifest, which makes the snapshot exist. Not under the caller's signal: once begun it is either there or not.
 * An unclear outcome is settled by looking; INTEGRITY when another manifest lies under this id.
 */
export async function commitManifest(store: Store, manifest: Manifest): Promise<void> {
  const key = manifestKey(manifest.id)
  const body = encodeManifest(manifest)
  const outcome = await createSettled(store, key, body, AbortSignal.timeout(COMMIT_MS)).catch(
    async (error: unknown) => {
      if (await holds(store, key, body)) return 'same'
      throw error
    },
  )
  if (outcome === 'different')
    throw new DumontError('INTEGRITY', `another snapshot lies under ${key} already`, {
      hint: 'run the command again: it takes another id',
      retry: 'now',
    })
}

/** Whether the store shows exactly this manifest; when it cannot be asked, that is a no and the first error is told. */
async function holds(store: Store, key: string, body: Uint8Array): Promise<boolean> {
  try {
    const stored = await store.get(key, {limit: body.length}, AbortSignal.timeout(COMMIT_MS))
    return Buffer.compare(stored, body) === 0
  } catch {
    return false
  }
}
