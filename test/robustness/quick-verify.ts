import {createHash} from 'node:crypto'
import {isDumontError} from '../../src/lib/errors.js'
import {parseManifest} from '../../src/lib/format/manifest.js'
import {verifySnapshot} from '../../src/lib/snapshots/verify-snapshot.js'
import {clockOf, ModelStore, type World} from '../interleaving/model-store.js'

/** Whether verify finds something wrong with the snapshot under this key. */
export async function quickVerify(world: World, key: string): Promise<boolean> {
  const store = new ModelStore(
    world,
    async () => undefined,
    () => {},
  )
  const manifest = parseManifest(world.objects.get(key)?.bytes ?? Buffer.alloc(0), key)
  const random = (count: number) => createHash('sha512').digest().subarray(0, count)
  const service = {store, clock: clockOf(world, () => {}), random, report: () => {}}
  try {
    const {damaged} = await verifySnapshot(service, {level: 'listed', manifest, sample: 1})
    return damaged.length > 0
  } catch (error) {
    if (isDumontError(error) && error.code === 'INTEGRITY') return true
    throw error
  }
}
