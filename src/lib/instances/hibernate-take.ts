import {DumontError} from '../errors.js'
import type {CreateSnapshotRequest} from '../snapshots/create-request.js'
import {createSnapshot} from '../snapshots/create-snapshot.js'
import {readManifest} from '../snapshots/manifests.js'
import type {BoxService} from '../snapshots/service.js'
import type {Taken} from './hibernate-request.js'
import {savedOf} from './saved-snapshot.js'

/** What is to be destroyed is not believed to be unchanged for longer than this. */
const REREAD_MS = 7 * 24 * 3_600_000

/** Takes a snapshot, or an increment of it, and reads its manifest back from the store. */
export async function takeSnapshot(
  request: CreateSnapshotRequest,
  service: BoxService,
  signal?: AbortSignal,
): Promise<Taken> {
  const {id, warnings} = await createSnapshot(
    {...request, rereadAfterMs: REREAD_MS},
    service,
    signal,
  )
  if (id === undefined) throw new DumontError('USAGE', 'a dry run gives no snapshot to prove')
  const found = await readManifest(service.store, id, signal)
  if (warnings.count > 0)
    service.report({kind: 'note', message: `${id}: ${warnings.count} warnings`})
  const {bytes, index} = found.manifest
  return {merkle: index.merkle, uploaded: bytes.stored, saved: savedOf(found)}
}
