import {isDumontError} from '../errors.js'
import {mintDestroyProof} from '../providers/destroy-proof.js'
import {readManifest, type StoredManifest} from '../snapshots/manifests.js'
import {untrusted} from '../untrusted.js'
import {differsFrom, identifyBox, type BoxIdentity} from './box-identity.js'
import {placeOf, shownPlace} from './box-places.js'
import {openBoxTools, type BoxTools} from './box-tools.js'
import {proveDisk} from './disk-proof.js'
import {isProviderError} from '../providers/provider-error.js'
import type {
  Check,
  Receipt,
  ReceiptOutcome,
  ReceiptRequest,
  ReceiptService,
  Refusal,
  Rule,
  Watched,
} from './receipt-terms.js'
import {boxTime} from './changed-since.js'
import {proveKeys} from './key-proof.js'
import {proveSnapshot} from './snapshot-proof.js'
import {proveEndurance} from './store-endurance.js'
import {proveStillness} from './stillness-proof.js'
import {proveVendor} from './vendor-proof.js'
import {proveWayBack} from './way-back.js'

const VALID_MS = 600_000
const GIB = 1024 ** 3

/**
 * The one way to a receipt: proves, rule by rule, that ending the instance loses nothing that was not given up by name. Every
 * rule is looked at, so that one run tells all that stands in the way. What cannot be looked at refuses; a lost connection or
 * store, and an interruption, reject.
 */
export async function proveReceipt(
  service: ReceiptService,
  request: ReceiptRequest,
  signal?: AbortSignal,
): Promise<ReceiptOutcome> {
  const ledger = new Findings()
  const {store} = service
  const tools = await ledger.of('identity', () => openBoxTools(request.session, signal))
  const stored = await ledger.of('packs', () => readManifest(store, request.snapshotId, signal))
  const endurance = await ledger.join('endurance', () => proveEndurance(store, request, signal))
  await ledger.join('identity', () => proveVendor(request, signal))
  const since = tools && (await ledger.of('identity', () => boxTime(tools, signal)))
  if (!tools || !stored || since === undefined) return ledger.refused()
  const {manifest} = stored
  const identity = await ledger.of('identity', () =>
    sameBox(tools, stored, {random: service.random, request}, signal),
  )
  const roots = manifest.roots.map(({path}) => placeOf(path))
  await ledger.join('stillness', () => proveStillness(tools, roots, signal))
  await ledger.join('way-back', () => proveWayBack(manifest, request, signal))
  await ledger.join('keys', () => proveKeys(service, request.snapshotId, signal))
  const budget = request.sampleBytes ?? GIB
  const {level, sample} = request
  const half = {level, manifest, sample, sampleBytes: budget / 2}
  const snapshot = await ledger.join('packs', () => proveSnapshot(service, half, signal))
  const left = budget - (snapshot?.bytesRead ?? 0)
  await ledger.join('disk', () => proveDisk(service, {left, manifest, request, tools}, signal))
  // What was proven is worth nothing if the box was exchanged meanwhile.
  const after = await ledger.of('identity', () =>
    identifyBox(tools, request, service.random, signal),
  )
  if (identity && after) ledger.same(identity, after)
  const repository = endurance?.repository
  if (ledger.refusals.length > 0 || !identity || !repository) return ledger.refused()
  const watched = {roots, since, survives: request.survives}
  const base = {identity, repositoryId: repository.id, stored, watched}
  return {kind: 'proven', receipt: issue(service, request, base, ledger.checks)}
}

function issue(
  {clock, store}: ReceiptService,
  {account, discard, instance, provider, snapshotId}: ReceiptRequest,
  {
    identity,
    repositoryId,
    stored,
    watched,
  }: {identity: BoxIdentity; repositoryId: string; stored: StoredManifest; watched: Watched},
  checks: readonly Check[],
): Receipt {
  const issuedAt = clock.now()
  const expiresAt = issuedAt + VALID_MS
  const whose = {account, createdAt: instance.createdAt, id: instance.id, provider: provider.name}
  const proof = mintDestroyProof({expiresAt, instance: whose, kind: 'receipt'})
  return Object.freeze({
    bootId: identity.bootId,
    checks,
    discarded: discard,
    expiresAt,
    identity,
    instance: proof.instance,
    issuedAt,
    manifestSha256: stored.sha256,
    proof,
    repositoryId,
    roots: stored.manifest.roots.map(({path}) => shownPlace(placeOf(path))),
    snapshotId,
    storeUrl: store.url,
    watched,
  })
}

/** The box at the other end is the instance, the one that was looked at before, and the one the snapshot is of. */
async function sameBox(
  tools: BoxTools,
  {manifest}: StoredManifest,
  {random, request}: Pick<ReceiptService, 'random'> & {readonly request: ReceiptRequest},
  signal?: AbortSignal,
): Promise<BoxIdentity> {
  const now = await identifyBox(tools, request, random, signal)
  const differs = differsFrom(request.before, now)
  if (differs !== undefined) throw new NotTheBox(differs)
  if (manifest.host.boot !== now.bootId)
    throw new NotTheBox('the snapshot was taken on another box, or before it booted again')
  return now
}

class NotTheBox extends Error {}

/** Collects what held and what did not; a rule that could not be looked at counts as one that did not hold. */
class Findings {
  readonly checks: Check[] = []
  readonly refusals: Refusal[] = []

  async of<T>(rule: Rule, look: () => Promise<T>): Promise<T | undefined> {
    try {
      return await look()
    } catch (error) {
      this.refusals.push(refusalOf(rule, error))
      return undefined
    }
  }

  async join<T extends {checks: readonly Check[]; refusals: readonly Refusal[]}>(
    rule: Rule,
    look: () => Promise<T>,
  ): Promise<T | undefined> {
    const found = await this.of(rule, look)
    this.checks.push(...(found?.checks ?? []))
    this.refusals.push(...(found?.refusals ?? []))
    return found
  }

  same(before: BoxIdentity, after: BoxIdentity): void {
    const differs = differsFrom(before, after)
    if (differs !== undefined) this.refusals.push(refusalOf('identity', new NotTheBox(differs)))
    else
      this.checks.push({
        by: before.by === 'environment' ? 'box' : 'vendor',
        figures: {looks: 3},
        rule: 'identity',
        what: `the connection leads to the instance (${before.by}), in one and the same boot`,
      })
  }

  refused(): ReceiptOutcome {
    return {kind: 'refused', refusals: this.refusals}
  }
}

/** Failures of the way (connection, store, interruption) say nothing of the box and go on as they are. */
const PASSING = new Set(['ACCESS_DENIED', 'INTERRUPTED', 'STORE_BUSY', 'UNREACHABLE'])

function refusalOf(rule: Rule, error: unknown): Refusal {
  if (error instanceof NotTheBox)
    return {message: error.message, remedy: 'take the snapshot again on this box', rule}
  if (isDumontError(error) && !PASSING.has(error.code))
    return {
      message: error.message,
      remedy: error.hint ?? 'put that right, then hibernate again',
      rule,
    }
  if (isProviderError(error) && !['RATE_LIMITED', 'TRANSPORT'].includes(error.failure))
    return {message: untrusted(error.message), remedy: 'look at the instance with the vendor', rule}
  throw error
}
