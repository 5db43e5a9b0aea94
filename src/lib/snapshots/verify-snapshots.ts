import type {ErrorCode} from '../errors.js'
import type {Choice} from './choose-packs.js'
import type {StoredManifest, UnreadableManifest} from './manifests.js'
import {checkDecodableHere} from './nvidia-need.js'
import type {ReadPacks} from './pack-readers.js'
import {copyOf, forgetfulLedger, openProofLedger} from './proof-ledger.js'
import {VerifyRun, type VerifyService} from './verify-run.js'
import type {VerifyLevel, VerifyResult} from './verify-snapshot.js'

export interface VerifyManyRequest {
  /** Oldest first: what they share is then known by its oldest owner, who names most of it. */
  readonly snapshots: readonly StoredManifest[]
  /** Snapshots whose manifest is no use; they are damaged without a look. */
  readonly unreadable: readonly UnreadableManifest[]
  readonly level: VerifyLevel
  readonly choice: Choice
  /** Read again also what an interrupted run of the same has read. */
  readonly again: boolean
  /** A box that reads in this machine's stead; what it says is no proof. */
  readonly box?: ReadPacks
}

/** A snapshot of which nothing can be said but that its manifest or index is damaged. */
export interface BrokenSnapshot {
  readonly id: string
  readonly error: {readonly code: ErrorCode; readonly message: string}
}

export interface VerifyManyResult {
  readonly level: VerifyLevel
  /** Whether a box did the reading: then its word is all there is. */
  readonly asserted: boolean
  readonly snapshots: readonly VerifyResult[]
  readonly broken: readonly BrokenSnapshot[]
  /** Packs that the snapshots name, each once, and those of them whose bytes were read. */
  readonly packs: number
  readonly packsRead: number
  readonly bytesRead: number
  /** Packs that this run did not read because its interrupted beginning did. */
  readonly packsEarlier: number
  readonly seconds: number
}

/**
 * Checks snapshots one after the other; a pack that several share is read once. An interrupted run goes on where it was
 * when the same is asked for again. Damage is a result, of packs and of indexes.
 */
export async function verifySnapshots(
  request: VerifyManyRequest,
  {repository, service}: {readonly service: VerifyService; readonly repository: string},
  signal?: AbortSignal,
): Promise<VerifyManyResult> {
  const {clock, report, stateDir, store} = service
  const begun = clock.now()
  if (request.level === 'decoded' && request.box === undefined)
    checkDecodableHere(request.snapshots.map(({manifest}) => manifest))
  const full = () => report({kind: 'note', message: FULL})
  // What reads nothing has nothing to remember.
  const isReading = request.level !== 'listed'
  const ledger = isReading
    ? await openProofLedger(stateDir, {copy: await copyOf(store, signal), repository}, full)
    : forgetfulLedger()
  try {
    const run = await VerifyRun.begin(request, service, ledger, signal)
    for (const {manifest} of request.snapshots) await run.look(manifest, signal)
    await run.end()
    return {...run.result(), seconds: (clock.now() - begun) / 1000}
  } finally {
    await ledger.close()
  }
}

const FULL = 'what is verified cannot be written down: a run that is cut off begins anew'
