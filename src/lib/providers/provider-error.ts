/** What went wrong at a vendor, in the words the state machines branch on. */
export type ProviderFailure =
  | 'AMBIGUOUS'
  | 'AUTH'
  | 'BID_TOO_LOW'
  | 'CAPACITY'
  | 'CREDIT'
  | 'INVALID'
  | 'NOT_FOUND'
  | 'OFFER_GONE'
  | 'PROTOCOL'
  | 'QUOTA'
  | 'RATE_LIMITED'
  | 'SCOPE'
  | 'TRANSPORT'
  | 'UNPROVEN'

interface Details {
  readonly cause?: unknown
  /** HTTP status, when there was an answer. */
  readonly status?: number
  /** An instance that came to be although the request failed: it must be destroyed or named. */
  readonly createdId?: string
}

/** A failure of one vendor call: who, which operation, why. The message holds no secret and no control character. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError'
  readonly failure: ProviderFailure
  readonly provider: string
  readonly operation: string
  readonly status: number | undefined
  readonly createdId: string | undefined

  constructor(
    failure: ProviderFailure,
    where: {readonly provider: string; readonly operation: string},
    message: string,
    {cause, status, createdId}: Details = {},
  ) {
    super(`${where.provider}: ${where.operation}: ${message}`, {cause})
    this.failure = failure
    this.provider = where.provider
    this.operation = where.operation
    this.status = status
    this.createdId = createdId
  }
}

/** Realms differ under jest, so the class is recognised by name. */
export function isProviderError(error: unknown): error is ProviderError {
  return error instanceof Error && error.name === 'ProviderError' && 'failure' in error
}
