import type {LifecycleRule} from '@aws-sdk/client-s3'
import {untrusted} from '../untrusted.js'
import {readFailure} from './s3-errors.js'
import type {Endurance} from './store.js'

/** Storage classes that must be thawed for hours before they can be read. */
const FROZEN = new Set(['DEEP_ARCHIVE', 'GLACIER'])
/** Answers that say that the question is not allowed or not known, not that something passed. */
const UNANSWERED = new Set([400, 401, 403, 405, 501])

/** What the enabled rules of a bucket do to objects without tags whose keys begin with `base`. */
export function lifecycleOf(rules: readonly LifecycleRule[], base: string): Endurance {
  const harmful = rules
    .filter((rule) => rule.Status !== 'Disabled' && touches(rule, base))
    .flatMap(harmOf)
  return harmful.length === 0 ? {kind: 'kept'} : {kind: 'expires', rules: harmful}
}

/** The same for a question that failed; throws what may pass when asked again. */
export function lifecycleRefusal(error: unknown): Endurance {
  const {name, status} = readFailure(error)
  if (name === 'NoSuchLifecycleConfiguration') return {kind: 'kept'}
  if (name === 'NotImplemented' || (status !== undefined && UNANSWERED.has(status)))
    return {kind: 'unreadable', reason: untrusted(`${name}, HTTP ${status ?? 'unknown'}`, 100)}
  throw error
}

/** The server of an endpoint, without port and brackets. */
export function hostOf(endpoint: string): string {
  return new URL(endpoint).hostname.replaceAll(/^\[|\]$/g, '')
}

function touches({Filter, Prefix}: LifecycleRule, base: string): boolean {
  // Ours carry no tags, so a rule that wants one leaves them alone.
  if (Filter?.Tag !== undefined || (Filter?.And?.Tags ?? []).length > 0) return false
  const prefix = Filter?.Prefix ?? Filter?.And?.Prefix ?? Prefix ?? ''
  return prefix.startsWith(base) || base.startsWith(prefix)
}

function harmOf({Expiration, ID, Transitions}: LifecycleRule): readonly string[] {
  const name = untrusted(ID ?? 'a rule without name', 100)
  const harms: string[] = []
  if (Expiration?.Days !== undefined) harms.push(`${name}: removed after ${Expiration.Days} days`)
  else if (Expiration?.Date !== undefined) harms.push(`${name}: removed at a date`)
  for (const {StorageClass} of Transitions ?? [])
    if (StorageClass !== undefined && FROZEN.has(StorageClass))
      harms.push(`${name}: frozen as ${untrusted(StorageClass, 40)}`)
  return harms
}
