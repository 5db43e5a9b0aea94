/** Exit codes of the documented table; read in one place, `exitCodeOf`. */
export const EXIT = {
  ok: 0,
  bug: 1,
  usage: 2,
  incomplete: 3,
  integrity: 65,
  unreachable: 69,
  worker: 70,
  cannotWrite: 73,
  tryAgain: 75,
  notAllowed: 77,
  config: 78,
  interrupted: 130,
} as const

const CODES = {
  ACCESS_DENIED: EXIT.notAllowed,
  AUTHENTICATION: EXIT.notAllowed,
  BOX_DISK_FULL: EXIT.cannotWrite,
  BOX_UNSUITABLE: EXIT.worker,
  BUCKET_MISSING: EXIT.config,
  CLOCK_SKEW: EXIT.config,
  CONFIG: EXIT.config,
  FORMAT_NEWER: EXIT.integrity,
  HOST_KEY_CHANGED: EXIT.notAllowed,
  HOST_KEY_UNKNOWN: EXIT.notAllowed,
  INCOMPLETE: EXIT.incomplete,
  INTEGRITY: EXIT.integrity,
  INSTANCE_BUSY: EXIT.tryAgain,
  INTERRUPTED: EXIT.interrupted,
  KEY: EXIT.notAllowed,
  LOCKED: EXIT.tryAgain,
  SNAPSHOT_UNKNOWN: EXIT.usage,
  STORE_BUSY: EXIT.tryAgain,
  STORE_UNSUITABLE: EXIT.config,
  TARGET_UNWRITABLE: EXIT.cannotWrite,
  UNREACHABLE: EXIT.unreachable,
  USAGE: EXIT.usage,
  VENDOR: EXIT.unreachable,
  VENDOR_BUSY: EXIT.tryAgain,
  WORKER: EXIT.worker,
} as const

export type ErrorCode = keyof typeof CODES

/** `now`: the same request may simply be sent again; `later`: after a wait or by running the command again. */
export type Retry = 'later' | 'never' | 'now'

interface ErrorDetails {
  readonly cause?: unknown
  readonly hint?: string
  readonly retry?: Retry
}

/** A failure an operator can act on: the message says what happened, the hint what to do. */
export class DumontError extends Error {
  override readonly name = 'DumontError'
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly retry: Retry

  constructor(code: ErrorCode, message: string, {cause, hint, retry = 'never'}: ErrorDetails = {}) {
    super(message, {cause})
    this.code = code
    this.hint = hint
    this.retry = retry
  }
}

/** Realms differ under jest, so the class is recognised by name and code. */
export function isDumontError(error: unknown): error is DumontError {
  return (
    typeof error === 'object' &&
    error !== null &&
    (error as {name?: unknown}).name === 'DumontError' &&
    Object.hasOwn(CODES, String((error as {code?: unknown}).code))
  )
}

export function exitCodeOf(error: unknown): number {
  return isDumontError(error) ? CODES[error.code] : EXIT.bug
}
