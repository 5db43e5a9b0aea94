import {openRepository} from '../store/repository.js'
import {findSnapshot} from './find-snapshot.js'
import {lineagesOf} from './lineages.js'
import {surveyManifests, type StoredManifest, type UnreadableManifest} from './manifests.js'
import {missingHeads} from './operator-memory.js'
import {memoryOf} from './removal.js'
import type {StoreService} from './service.js'

export interface VerifyTargets {
  /** Oldest first in each lineage. */
  readonly snapshots: readonly StoredManifest[]
  readonly unreadable: readonly UnreadableManifest[]
  /** What this machine calls the repository. */
  readonly repository: string
}

/** One snapshot by its name, or (without one) all that the store has. */
export async function whatToVerify(
  name: string | undefined,
  service: Pick<StoreService, 'stateDir' | 'store'>,
  signal?: AbortSignal,
): Promise<VerifyTargets> {
  const {store} = service
  const repository = (await openRepository(store, {create: false}, signal))?.id ?? 'unknown'
  if (name !== undefined) {
    const snapshots = [await findSnapshot({snapshot: name}, service, signal)]
    return {repository, snapshots, unreadable: []}
  }
  const memory = await memoryOf(service, signal)
  const survey = await surveyManifests(store, signal)
  const {readable} = survey
  const hidden = memory ? await missingHeads(memory, survey) : []
  const unreadable = [...survey.unreadable, ...hidden]
  const snapshots = lineagesOf(readable).flatMap((lineage) => lineage.snapshots)
  return {repository, snapshots, unreadable}
}
