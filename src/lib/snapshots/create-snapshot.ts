import type {Manifest} from '../format/manifest.js'
import {openRepository} from '../store/repository.js'
import {skewWarning} from '../store/skew.js'
import type {NvcompOptions} from '../worker/equip-nvcomp.js'
import {requireAbsolute} from './absolute-path.js'
import {bothInOrder} from './both-in-order.js'
import {beginLineage} from './begun-lineage.js'
import {attemptAndCommit} from './attempt-and-commit.js'
import type {CreateContext} from './create-attempt.js'
import {labelOf, rootsOn, type CreateSnapshotRequest} from './create-request.js'
import {summaryOf, type SnapshotSummary} from './create-summary.js'
import type {ConnectedBox} from './connect-worker.js'
import {chooseLineage} from './lineage.js'
import {surveyManifests, type Survey} from './manifests.js'
import {withNvcomp} from './nvidia-need.js'
import {onBox} from './on-box.js'
import {
  openOperatorMemory,
  refuseRollback,
  rememberedOf,
  type OperatorMemory,
} from './operator-memory.js'
import {sweepQuietly} from './removal.js'
import type {BoxService} from './service.js'
import {sideBySide} from './side-by-side.js'
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
  const take = async (
    box: ConnectedBox,
    opening: Promise<Opened>,
    ending: AbortSignal,
  ): Promise<SnapshotSummary> => {
    const opened = await opening
    const {context, label, memory} = await prepare(request, {service, box, opened}, ending)
    service.report({kind: 'step', step: 'transfer', state: 'started'})
    const made = await attemptAndCommit(context, label, ending)
    if (made.manifest) await afterCommit(made.manifest, {context, memory}, ending)
    return summaryOf({
      ...made,
      label,
      lineage: context.lineage,
      seconds: (service.clock.now() - begun) / 1000,
    })
  }
  const onService = withNvcomp(service, nvcompFor(request), `--codec ${request.codec}`)
  // Looking into the store takes as long as connecting.
  return sideBySide(
    (ending) => openStep(request, service, ending),
    (opening, ending) =>
      onBox(request.host, onService, (box) => take(box, opening, ending), ending),
    signal,
  )
}

/** A GPU codec that was asked for must be had; a dry run measures it where it can be; `auto` may come to want it. */
function nvcompFor({codec, dryRun}: CreateSnapshotRequest): NvcompOptions['need'] | undefined {
  if (codec === 'ans' || codec === 'gzstd') return 'required'
  if (codec !== 'auto') return undefined
  return dryRun ? 'wanted' : 'later'
}

interface Opened {
  readonly repository: CreateContext['repository']
  survey: Survey | undefined
  /** When the survey was begun; whoever comes late, or again, looks again. */
  readonly since: number
}

const FRESH_MS = 60_000

async function openStep(
  request: CreateSnapshotRequest,
  service: BoxService,
  signal?: AbortSignal,
): Promise<Opened> {
  const {clock, random, report, store} = service
  report({kind: 'step', step: 'open-store', state: 'started'})
  const since = clock.now()
  const [opened, survey] = await bothInOrder(
    openRepository(store, {create: !request.dryRun}, signal),
    surveyManifests(store, signal),
  )
  for (const message of opened?.notes ?? []) report({kind: 'note', message})
  const skew = skewWarning((await store.now(signal)) - clock.now())
  if (skew !== undefined) report({kind: 'note', message: skew})
  report({kind: 'step', step: 'open-store', state: 'done', detail: store.url})
  // A dry run on a store that was never used leaves it so.
  const repository = opened ?? {id: Buffer.from(random(16)).toString('hex'), pin: 'crc32'}
  return {repository, since, survey}
}

async function prepare(
  request: CreateSnapshotRequest,
  {
    box,
    opened,
    service,
  }: {readonly service: BoxService; readonly box: ConnectedBox; readonly opened: Opened},
  signal?: AbortSignal,
): Promise<{context: CreateContext; label: string; memory: OperatorMemory}> {
  const {clock, random, report, stateDir, store} = service
  const {repository} = opened
  const roots = await rootsOn(box.session, request.paths, signal)
  const label = labelOf(request, box.session.label, roots)
  const isFresh = clock.now() - opened.since < FRESH_MS
  const survey = isFresh ? opened.survey : undefined
  const {readable, unreadable} = survey ?? (await surveyManifests(store, signal))
  opened.survey = undefined
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
  const {clock, report, stateDir, store} = service
  const told = (what: string) => (error: unknown) =>
    report({
      kind: 'warning',
      code: 'after-commit',
      message: `${what}: ${error instanceof Error ? error.message : String(error)}`,
    })
  await Promise.all([
    memory
      .remember(rememberedOf({id: manifest.id, manifest}))
      .catch(told('this machine could not note the snapshot')),
    record.tidy(manifest.id, clock.now()).catch(told('old signing records could not be removed')),
    begun?.finish().catch(told('the begun lineage could not be noted as done')),
    sweepQuietly({report, stateDir, store}, signal),
  ])
}
