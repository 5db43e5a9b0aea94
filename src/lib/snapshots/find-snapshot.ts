import {openRepository} from '../store/repository.js'
import {surveyManifests, type StoredManifest} from './manifests.js'
import {openOperatorMemory, refuseRollback, rememberedOf} from './operator-memory.js'
import {resolveSnapshot} from './resolve-snapshot.js'
import type {StoreService} from './service.js'

export interface SnapshotReference {
  /** A unique beginning of the id, `latest` or `latest:<label>`. */
  readonly snapshot: string
  /** Says which lineage a plain `latest` means. */
  readonly label?: string
  readonly acceptRollback?: boolean
}

/** The snapshot an operator means. A `latest` that is older than what was seen before is refused (INTEGRITY). */
export async function findSnapshot(
  {acceptRollback = false, label, snapshot}: SnapshotReference,
  {stateDir, store}: Pick<StoreService, 'stateDir' | 'store'>,
  signal?: AbortSignal,
): Promise<StoredManifest> {
  const survey = await surveyManifests(store, signal)
  const found = resolveSnapshot(survey, snapshot, label)
  if (!/^latest(?::|$)/.test(snapshot)) return found
  const repository = await openRepository(store, {create: false}, signal)
  if (!repository) return found
  const memory = openOperatorMemory(stateDir, repository.id)
  const {lineage} = found.manifest
  await refuseRollback(memory, survey.readable, ({id}) => id === lineage, acceptRollback)
  await memory.remember(rememberedOf(found))
  return found
}
