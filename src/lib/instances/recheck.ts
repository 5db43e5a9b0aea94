import {proves} from '../providers/destroy-proof.js'
import {isDumontError} from '../errors.js'
import {readManifest} from '../snapshots/manifests.js'
import {readPacks} from '../snapshots/stored-index.js'
import {unlistedPacks} from '../snapshots/presence.js'
import {openRepository} from '../store/repository.js'
import {differsFrom, identifyBox} from './box-identity.js'
import {openBoxTools} from './box-tools.js'
import {changedSince} from './changed-since.js'
import type {BoxConnection, Receipt, ReceiptService, Refusal, Rule} from './receipt-terms.js'
import {proveVendor} from './vendor-proof.js'

/**
 * Reads every field of a receipt again, right before the end of the instance: what does not hold any more, none when all
 * does. Rejects when something cannot be read, which is no proof either.
 */
export async function recheckReceipt(
  {clock, random, store}: ReceiptService,
  receipt: Receipt,
  connection: BoxConnection,
  signal?: AbortSignal,
): Promise<readonly Refusal[]> {
  const {account, instance, provider, session} = connection
  const refusals: Refusal[] = []
  const refuse = (rule: Rule, message: string) =>
    refusals.push({message, remedy: 'hibernate again: the receipt is void', rule})
  const {instance: bound} = receipt
  if (
    bound.account !== account ||
    bound.createdAt !== instance.createdAt ||
    bound.id !== instance.id ||
    bound.provider !== provider.name ||
    store.url !== receipt.storeUrl
  )
    refuse('identity', 'the receipt is for another instance, account or store')
  refusals.push(...(await proveVendor(connection, signal)).refusals)
  const tools = await openBoxTools(session, signal)
  const now = await identifyBox(tools, connection, random, signal)
  const differs = differsFrom(receipt.identity, now)
  if (differs !== undefined || now.bootId !== receipt.bootId)
    refuse('identity', differs ?? 'the boot id changed')
  const repository = await openRepository(store, {create: false}, signal)
  if (repository?.id !== receipt.repositoryId)
    refuse('endurance', 'the store holds another repository than before')
  const damage = await snapshotDamage(store, receipt, signal)
  if (damage !== undefined) refuse('packs', damage)
  refusals.push(...(await changedSince(tools, receipt, signal)))
  // Last, because all of the above takes its time.
  if (!proves(receipt.proof, {id: instance.id, provider: provider.name}, clock.now()))
    refuse('identity', 'the receipt has expired')
  return refusals
}

/** The manifest is the one that was proven, and the store lists every pack it names with its length. */
async function snapshotDamage(
  store: ReceiptService['store'],
  {manifestSha256, snapshotId}: Receipt,
  signal?: AbortSignal,
): Promise<string | undefined> {
  try {
    const {manifest, sha256} = await readManifest(store, snapshotId, signal)
    if (sha256 !== manifestSha256) return 'the manifest is another than the one that was proven'
    const missing = await unlistedPacks(store, await readPacks(store, manifest, signal), signal)
    return missing.length > 0 ? `${missing.length} packs are not listed any more` : undefined
  } catch (error) {
    if (isDumontError(error) && ['FORMAT_NEWER', 'INTEGRITY'].includes(error.code))
      return error.message
    throw error
  }
}
