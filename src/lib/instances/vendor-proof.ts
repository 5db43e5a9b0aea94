import {untrusted} from '../untrusted.js'
import type {Check, ReceiptRequest, Refusal} from './receipt-terms.js'

/** The account sees the instance alive, and it is the one that was resolved before: the same start, not a twin by id. */
export async function proveVendor(
  {account, instance, provider}: Pick<ReceiptRequest, 'account' | 'instance' | 'provider'>,
  signal?: AbortSignal,
): Promise<{readonly checks: readonly Check[]; readonly refusals: readonly Refusal[]}> {
  const {account: owner} = await provider.whoami(signal)
  const seen = await provider.get(instance.id, signal)
  const wrong =
    owner !== account
      ? `the key now belongs to account ${untrusted(owner, 60)}`
      : seen.phase !== 'running'
        ? `the vendor says that the instance is ${untrusted(seen.state, 60)}`
        : seen.createdAt !== instance.createdAt
          ? 'the instance with this id is another one than before: it was created at another time'
          : undefined
  if (wrong !== undefined)
    return {
      checks: [],
      refusals: [{message: wrong, remedy: 'hibernate again, from the beginning', rule: 'identity'}],
    }
  const what = 'the account sees the instance alive, as it was created'
  return {checks: [{by: 'vendor', figures: {}, rule: 'identity', what}], refusals: []}
}
