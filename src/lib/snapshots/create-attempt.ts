import {DumontError, isDumontError} from '../errors.js'
import type {PackRecord} from '../format/pack-list.js'
import {makeSnapshotId} from '../format/snapshot-id.js'
import type {PinKind} from '../store/store.js'
import type {CreateResult} from '../worker/results.js'
import type {WorkerProgress, WorkerWarning} from '../worker/protocol.js'
import type {RequestHandlers} from '../worker/request-handlers.js'
import {sealForBox, type CreateRequest} from '../worker/requests.js'
import type {BegunLineage} from './begun-lineage.js'
import {BoxWarnings} from './box-warnings.js'
import type {ConnectedBox} from './connect-worker.js'
import {checkClaim, type Checked} from './create-claim.js'
import {memoryFor, protectedPaths, type CreateSnapshotRequest} from './create-request.js'
import {acceptEarlier} from './earlier-packs.js'
import type {LineageChoice} from './lineage.js'
import {prepareParent} from './parent.js'
import type {BoxService} from './service.js'
import {grantFetch, readableOf} from './fetching.js'
import {SigningDesk} from './signing.js'
import type {SigningRecord} from './signing-record.js'

/** What stays the same when a create is repeated. */
export interface CreateContext {
  readonly request: CreateSnapshotRequest
  readonly service: BoxService
  readonly box: ConnectedBox
  readonly repository: {readonly id: string; readonly pin: PinKind}
  readonly record: SigningRecord
  readonly roots: readonly string[]
  readonly lineage: string
  /** Of a lineage that begins here. */
  readonly begun?: BegunLineage
  readonly choice: LineageChoice
  /** Snapshots that exist. */
  readonly committed: ReadonlySet<string>
}

/** One run of the worker and what this machine has proven of it; not committed yet. */
export interface Attempt {
  readonly snapshot: string
  /** Milliseconds by the store's clock. */
  readonly created: number
  /** Whether every file was read, also those that looked unchanged. */
  readonly readAll: boolean
  readonly result: CreateResult
  readonly warnings: BoxWarnings
  /** Absent after a dry run. */
  readonly checked?: Checked
}

/** Lets the worker make a snapshot under a fresh id without naming any of the `unusable` packs, and checks all it says. */
export async function attemptCreate(
  context: CreateContext,
  unusable: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<Attempt> {
  const {box, choice, lineage, record, repository, request, service} = context
  const {random, report, store} = service
  const created = await store.now(signal)
  const snapshot = makeSnapshotId(new Date(created), random(6))
  const parent = await prepareParent(store, choice, unusable, signal)
  const readAll = isStale(context, created)
  if (parent.note) report({kind: 'note', message: parent.note, host: request.host})
  const desk = new SigningDesk({
    snapshot,
    lineage,
    pin: repository.pin,
    parts: request.parts,
    parity: request.parity ?? 0,
    store,
    reach: box.reach,
    record,
  })
  const earlier = new Map<string, PackRecord>()
  const warnings = new BoxWarnings(report, request.host)
  const readable = parent.request ? readableOf(parent.request, []) : new Map()
  const run = request.dryRun ? undefined : store.keys?.newRun()
  const telling = {
    progress: (progress: WorkerProgress) => {
      desk.scanned(progress.rawTotal)
      report({kind: 'transfer', progress, host: request.host})
    },
    warning: (warning: WorkerWarning) => warnings.add(warning),
  }
  const storing: RequestHandlers = {
    sign: (objects) => desk.sign(objects),
    settle: (key) => desk.settle(key, signal),
    fetch: (keys) => grantFetch(keys, {readable, store}, box.reach),
    nvcomp: async () => box.equipment.installNvcomp?.(signal),
    earlier: async (packs) => {
      const accepted = await acceptEarlier(packs, {...context, store, unusable}, signal)
      for (const pack of accepted) earlier.set(pack.key, pack)
      return accepted.map(({key}) => key)
    },
  }
  const result = await box.worker
    .create(
      {
        ...fixedFields(context),
        reread: readAll,
        seal: run ? sealForBox(run) : null,
        snapshot,
        parent: parent.request,
      },
      request.dryRun ? telling : {...telling, ...storing},
      signal,
    )
    .catch((error: unknown) => {
      throw parent.request ? blameParent(error, parent.request.id) : error
    })
  if (request.dryRun) return {snapshot, created, readAll, result, warnings}
  report({kind: 'step', step: 'transfer', state: 'done'})
  report({kind: 'step', step: 'verify', state: 'started'})
  const sources = {
    allotted: desk.allotted,
    earlier,
    groups: parent.groups,
    inherited: parent.packs,
    parity: request.parity ?? 0,
    ...(run && {run}),
  }
  return {
    snapshot,
    created,
    readAll: readAll || parent.request?.reuse !== true,
    result,
    warnings,
    checked: await checkClaim(store, {result, snapshot, sources}, signal),
  }
}

/** A file whose disk lies about it looks unchanged for ever: from time to time all are read. */
function isStale({choice, request}: CreateContext, now: number): boolean {
  const {rereadAfterMs} = request
  const readSince = choice.parent?.manifest.readSince
  return (
    rereadAfterMs !== undefined &&
    (readSince === undefined || now - Date.parse(readSince) > rereadAfterMs)
  )
}

function fixedFields({
  box,
  lineage,
  repository,
  request,
  roots,
  service,
}: CreateContext): Omit<CreateRequest, 'parent' | 'reread' | 'seal' | 'snapshot'> {
  const {codec, crossMounts, dryRun, excludeCaches, excludes, level, memory, parts} = request
  return {
    type: 'create',
    repository: repository.id,
    lineage,
    roots: [...roots],
    excludes: [...excludes],
    excludeCaches,
    crossMounts,
    protect: [...protectedPaths(box.session, service)],
    parts: Math.min(parts, box.reach.most),
    memory: memoryFor(box.worker.hello, memory),
    codec,
    level,
    delta: request.delta ?? false,
    ...(request.parity ? {parity: request.parity} : {}),
    pin: repository.pin,
    dryRun,
  }
}

/** The worker reads nothing of the store but its parent: damage it meets is there. */
function blameParent(error: unknown, parent: string): unknown {
  if (!isDumontError(error) || error.code !== 'INTEGRITY') return error
  return new DumontError('INTEGRITY', error.message, {
    cause: error,
    hint: `delete ${parent} or save under another --name: then everything is stored again`,
  })
}
