import {
  isInstanceId,
  parseInstanceAddress,
  PROVIDERS,
  type ProviderName,
} from '../providers/instance-address.js'
import type {Store} from '../store/store.js'
import {readAllRecords} from './record-log.js'

/** Where to rent, and what to wake in that vendor's own words. */
export interface WakeAccount {
  readonly provider: ProviderName
  readonly what: string
}

/** An instance belongs to its vendor; a snapshot to the vendor of the instance it was taken of, where one is on record. */
export async function findWakeAccount(
  text: string,
  {standard}: {readonly standard: ProviderName},
  store: Store,
  signal?: AbortSignal,
): Promise<WakeAccount> {
  const isSnapshot = /^\d{8}T|^latest(?::|$)/.test(text)
  const address = isSnapshot ? undefined : parseInstanceAddress(text, standard)
  if (address) return {provider: address.provider, what: address.id}
  if (!isSnapshot) return {provider: standard, what: text}
  const {records} = await readAllRecords(store, signal)
  const of = records.find(({snapshot}) => snapshot?.id.startsWith(text) === true)?.instance
  const provider = PROVIDERS.find((name) => of && name === of.provider && isInstanceId(name, of.id))
  return {provider: provider ?? standard, what: text}
}
