import {DumontError} from '../errors.js'
import type {Manifest} from '../format/manifest.js'
import {makeSnapshotId} from '../format/snapshot-id.js'
import {openRepository} from '../store/repository.js'
import {offProtocol} from '../worker/protocol.js'
import {sealForBox} from '../worker/requests.js'
import type {TranscodeResult} from '../worker/results.js'
import {commitWhenReliable} from './commit-when-reliable.js'
import type {ConnectedBox} from './connect-worker.js'
import {checkClaim, type Checked} from './create-claim.js'
import {memoryFor} from './create-request.js'
import {grantFetch, readableOf} from './fetching.js'
import {findSnapshot, type SnapshotReference} from './find-snapshot.js'
import {checkDecoders, withNvcomp} from './nvidia-need.js'
import {onBox} from './on-box.js'
import type {BoxService} from './service.js'
import {SigningDesk} from './signing.js'
import {openSigningRecord} from './signing-record.js'
import {readPacks} from './stored-index.js'

export interface TranscodeRequest extends SnapshotReference {
  /** A box with a GPU that decodes the snapshot. */
  readonly host: string
  readonly parts: number
  /** Bytes. */
  readonly memory?: number
  /** Of zstd. */
  readonly level: number
}

/** The snapshot that was made, and of which. */
export interface TranscodeSummary {
  readonly id: string
  readonly of: string
  /** Raw bytes that were coded anew. */
  readonly newBytes: number
  readonly storedBytes: number
  readonly seconds: number
}

/**
 * Makes a snapshot of the same content in the same place of its lineage, none of whose chunks needs a GPU. The old one stays.
 * USAGE when it needs none already.
 */
export async function transcodeSnapshot(
  {host, level, memory, parts, ...reference}: TranscodeRequest,
  service: BoxService,
  signal?: AbortSignal,
): Promise<TranscodeSummary> {
  const begun = service.clock.now()
  const {report} = service
  report({kind: 'step', step: 'open-store', state: 'started'})
  const {manifest} = await findSnapshot(reference, service, signal)
  if (manifest.nvidia === null)
    throw new DumontError('USAGE', `${manifest.id} needs no GPU: it restores anywhere as it is`)
  report({kind: 'step', step: 'open-store', state: 'done', detail: manifest.id})
  if (manifest.index.groups) report({kind: 'note', message: WITHOUT_PARITY})
  const plan = {level, manifest, parts, ...(memory === undefined ? {} : {memory})}
  const work = (box: ConnectedBox) => transcodeOn(box, {plan, service}, signal)
  const made = await onBox(host, withNvcomp(service, 'required', manifest.id), work, signal)
  await commitChecked(made, manifest, service, signal)
  const {id, bytes} = made.manifest
  return {
    id,
    of: manifest.id,
    newBytes: bytes.new,
    storedBytes: bytes.stored,
    seconds: (service.clock.now() - begun) / 1000,
  }
}

const WITHOUT_PARITY =
  'the new snapshot has no parity: only a create makes it, and the next one does so for what it stores'

interface Plan {
  readonly manifest: Manifest
  readonly parts: number
  readonly level: number
  readonly memory?: number
}

interface Made {
  readonly manifest: Manifest
  readonly checked: Checked
}

async function transcodeOn(
  box: ConnectedBox,
  {plan, service}: {readonly plan: Plan; readonly service: BoxService},
  signal?: AbortSignal,
): Promise<Made> {
  const {random, report, stateDir, store} = service
  const {level, manifest: source, memory, parts} = plan
  checkDecoders(source, box)
  const repository = await openRepository(store, {create: false}, signal)
  if (!repository) throw new DumontError('INTEGRITY', `${store.url} has lost its dumont.json`)
  const packs = await readPacks(store, source, signal)
  const created = await store.now(signal)
  const snapshot = makeSnapshotId(new Date(created), random(6))
  const record = openSigningRecord(stateDir, repository.id)
  const {pin} = repository
  const desk = new SigningDesk({
    snapshot,
    lineage: source.lineage,
    pin,
    parts,
    store,
    reach: box.reach,
    record,
  })
  desk.scanned(source.bytes.raw)
  const {packs: list, segments} = source.index
  const readable = readableOf(source.index, packs)
  const run = store.keys?.newRun()
  report({kind: 'step', step: 'transfer', state: 'started'})
  const result = await box.worker.transcode(
    {
      type: 'transcode',
      snapshot,
      source: {id: source.id, segments, packs: list},
      parts,
      memory: memoryFor(box.worker.hello, memory),
      level,
      pin,
      seal: run ? sealForBox(run) : null,
    },
    {
      fetch: (keys) => grantFetch(keys, {readable, store}, box.reach),
      progress: (progress) => report({kind: 'transfer', progress}),
      settle: (key) => desk.settle(key, signal),
      sign: (objects) => desk.sign(objects),
    },
    signal,
  )
  report({kind: 'step', step: 'transfer', state: 'done'})
  report({kind: 'step', step: 'verify', state: 'started'})
  const inherited = new Map(packs.map((pack) => [pack.key, pack]))
  const sources = {allotted: desk.allotted, earlier: new Map(), inherited, ...(run && {run})}
  const checked = await checkClaim(
    store,
    {result: claimOf(source, result), snapshot, sources},
    signal,
  )
  if (checked.recount.merkle !== source.index.merkle || checked.recount.decoders.includes('ans'))
    throw offProtocol('an index that does not hold the same content without a GPU')
  return {checked, manifest: manifestOf(source, {checked, created, result, service, snapshot})}
}

/** What the worker's words come to: everything but the coding must be as it was. */
function claimOf(source: Manifest, {bytes, decoders, index}: TranscodeResult) {
  return {bytes: {...source.bytes, ...bytes}, counts: source.counts, decoders, index}
}

function manifestOf(
  source: Manifest,
  made: {
    readonly checked: Checked
    readonly created: number
    readonly result: TranscodeResult
    readonly service: BoxService
    readonly snapshot: string
  },
): Manifest {
  const {checked, created, result, service, snapshot} = made
  const {seconds} = result
  return {
    ...source,
    id: snapshot,
    created: new Date(created).toISOString(),
    bytes: {...withoutParity(source.bytes), ...checked.recount.bytes},
    seconds: {scan: 0, transfer: seconds, total: seconds},
    index: checked.index,
    decoders: [...checked.recount.decoders],
    nvidia: null,
    versions: {...source.versions, dumont: service.version},
  }
}

function withoutParity(bytes: Manifest['bytes']): Manifest['bytes'] {
  const {parity: _, ...others} = bytes
  return others
}

/** Commits when every pack is there and none is being removed. */
async function commitChecked(
  made: Made,
  source: Manifest,
  service: BoxService,
  signal?: AbortSignal,
): Promise<void> {
  const lost = await commitWhenReliable(made, service, signal)
  if (lost.size > 0)
    throw new DumontError(
      'STORE_BUSY',
      `${lost.size} packs of ${source.id} are missing or being removed`,
      {
        hint: `dumont snapshot verify ${source.id} says what is there; then run the command again`,
        retry: 'later',
      },
    )
}
