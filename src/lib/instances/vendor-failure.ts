import {DumontError, isDumontError, type ErrorCode} from '../errors.js'
import {isProviderError, type ProviderFailure} from '../providers/provider-error.js'
import {untrusted} from '../untrusted.js'

const CODES: Readonly<Record<ProviderFailure, ErrorCode>> = {
  AMBIGUOUS: 'VENDOR_BUSY',
  AUTH: 'AUTHENTICATION',
  BID_TOO_LOW: 'VENDOR_BUSY',
  CAPACITY: 'VENDOR_BUSY',
  CREDIT: 'ACCESS_DENIED',
  INVALID: 'VENDOR',
  NOT_FOUND: 'USAGE',
  OFFER_GONE: 'VENDOR_BUSY',
  PROTOCOL: 'VENDOR',
  QUOTA: 'ACCESS_DENIED',
  RATE_LIMITED: 'VENDOR_BUSY',
  SCOPE: 'ACCESS_DENIED',
  TRANSPORT: 'VENDOR',
  UNPROVEN: 'INCOMPLETE',
}

const PASSING: ReadonlySet<ProviderFailure> = new Set([
  'AMBIGUOUS',
  'PROTOCOL',
  'RATE_LIMITED',
  'TRANSPORT',
])

/** Whether asking again may help: the vendor could not be heard, or had enough of us. */
export function isPassing(error: unknown): boolean {
  return isProviderError(error) && PASSING.has(error.failure)
}

/** A vendor's failure as one an operator can act on; anything else stays what it is. */
export function asDumontError(error: unknown): unknown {
  if (!isProviderError(error)) return error
  return new DumontError(CODES[error.failure], untrusted(error.message, 500), {
    cause: error,
    ...(PASSING.has(error.failure) ? {hint: 'run the same command again', retry: 'later'} : {}),
  })
}

/** One line for a result or a longer message. */
export function reasonOf(error: unknown): string {
  if (isDumontError(error) || isProviderError(error)) return untrusted(error.message, 500)
  return error instanceof Error ? untrusted(error.message, 300) : 'an unknown failure'
}
