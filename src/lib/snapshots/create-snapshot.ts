import type {Manifest} from '../format/manifest.js'
import {openRepository} from '../store/repository.js'
import {skewWarning} from '../store/skew.js'
import {requireAbsolute} from './absolute-path.js'
import {beginLineage} from './begun-lineage.js'
import {attemptAndCommit} from './attempt-and-commit.js'
import type {CreateContext} from './create-attempt.js'
import {labelOf, rootsOn, type CreateSnapshotRequest} from './create-request.js'
import {summaryOf, type SnapshotSummary} from './create-summary.js'
import type {ConnectedBox} from './connect-worker.js'
import {chooseLineage} from './lineage.js'
import {surveyManifests} from './manifests.js'
import {onBox} from './on-box.js'
import {
  openOperatorMemory,
  refuseRollback,
  rememberedOf,
  type OperatorMemory,
} from './operator-memory.js'
import {sweepQuietly} from './removal.js'
import type {BoxService} from './service.js'
import {openSigningRecord} from './signing-record.js'

/**
 * Takes a snapshot of a box. It exists, whole and proven by this machine, when this resolves; when it rejects there is none,
 * and the next run goes on with what was stored.
 */
export async function createSnapshot(
  request: CreateSnapshotRequest,
  service: BoxService,
  signal?: AbortSignal,
): Promise<SnapshotSummary> {
  for (const path of request.paths) requireAbsolute(path)
  const begun = service.clock.now()
  const repository = await openStep(request, service, signal)
  const take = async (box: ConnectedBox): Promise<SnapshotSummary> => {
    const {context, label, memory} = await prepare(request, {service, box, repository}, signal)
    service.report({kind: 'step', step: 'transfer', state: 'started'})
    const made = await attemptAndCommit(context, label, signal)
    if (made.manifest) await afterCommit(made.manifest, {context, memory}, signal)
    return summaryOf({
      ...made,
      label,
      lineage: context.lineage,
      seconds: (service.clock.now() - begun) / 1000,
    })
  }
  return onBox(request.host, service, take, signal)
}

type Repository = CreateContext['repository']

async function openStep(
  request: CreateSnapshotRequest,
  service: BoxService,
  signal?: AbortSignal,
): Promise<Repository> {
  const {clock, random, report, store} = service
  report({kind: 'step', step: 'open-store', state: 'started'})
  const opened = await openRepository(store, {create: !request.dryRun}, signal)
  for (const message of opened?.notes ?? []) report({kind: 'note', message})
  const skew = skewWarning((await store.now(signal)) - clock.now())
  if (skew !== undefined) report({kind: 'note', message: skew})
  report({kind: 'step', step: 'open-store', state: 'done', detail: store.url})
  // A dry run on a store that was never used leaves it so.
  return opened ?? {id: Buffer.from(random(16)).toString('hex'), pin: 'crc32'}
}

async function prepare(
  request: CreateSnapshotRequest,
  {
    box,
    repository,
    service,
  }: {readonly service: BoxService; readonly box: ConnectedBox; readonly repository: Repository},
  signal?: AbortSignal,
): Promise<{context: CreateContext; label: string; memory: OperatorMemory}> {
  const {random, report, stateDir, store} = service
  const roots = await rootsOn(box.session, request.paths, signal)
  const label = labelOf(request, box.session.label, roots)
  const {readable, unreadable} = await surveyManifests(store, signal)
  const memory = openOperatorMemory(stateDir, repository.id)
  await refuseRollback(
    memory,
    readable,
    (lineage) => lineage.label === label,
    request.acceptRollback,
  )
  const {hello} = box.worker
  const choice = chooseLineage({
    label,
    roots,
    box: hello.host.box,
    restored: hello.restored,
    manifests: readable,
  })
  if (choice.note) report({kind: 'note', message: choice.note, host: request.host})
  const fresh = Buffer.from(random(16)).toString('hex')
  const of = {repository: repository.id, box: hello.host.box, label, roots}
  const begun =
    choice.parent || request.dryRun ? undefined : await beginLineage(stateDir, of, fresh)
  const lineage = choice.parent?.manifest.lineage ?? begun?.id ?? fresh
  const committed = new Set([...readable, ...unreadable].map(({id}) => id))
  const record = openSigningRecord(stateDir, repository.id)
  const fixed = {request, service, box, repository, record, roots, lineage, choice, committed}
  return {context: {...fixed, ...(begun ? {begun} : {})}, label, memory}
}

/** The snapshot exists: whatever fails from here on is told and changes nothing about it. */
async function afterCommit(
  manifest: Manifest,
  {context, memory}: {readonly context: CreateContext; readonly memory: OperatorMemory},
  signal?: AbortSignal,
): Promise<void> {
  const {begun, record, service} = context
  const {clock, report, store} = service
  const told = (what: string) => (error: unknown) =>
    report({
      kind: 'warning',
      code: 'after-commit',
      message: `${what}: ${error instanceof Error ? error.message : String(error)}`,
    })
  await memory
    .remember(rememberedOf({id: manifest.id, manifest}))
    .catch(told('this machine could not note the snapshot'))
  await record
    .tidy(manifest.id, clock.now())
    .catch(told('old signing records could not be removed'))
  await begun?.finish().catch(told('the begun lineage could not be noted as done'))
  await sweepQuietly({store, report}, signal)
}
