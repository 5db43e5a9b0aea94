import type {HeadObjectCommandOutput} from '@aws-sdk/client-s3'
import {DumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'
import {readFailure} from './s3-errors.js'

/** An object that a lock keeps, and what the store tells of the lock. */
export interface LockedObject {
  readonly key: string
  /** Milliseconds since the epoch; absent where the store does not tell, as R2. */
  readonly until?: number
  /** Of S3's object lock: `GOVERNANCE` or `COMPLIANCE`. */
  readonly mode?: string
  readonly legalHold?: boolean
}

/** R2's name for a lock of its bucket, and what S3 and others write where they have no name for it. */
const NAMES = new Set(['ObjectLockedByBucketPolicy', 'ObjectLocked'])
const WORDS = /object lock|WORM|is locked|locked by|legal hold|retention/i

/** Whether a removal was refused by a lock, and not for want of rights; asking again changes nothing. */
export function isLockRefusal(error: unknown): boolean {
  const {name, status} = readFailure(error)
  if (NAMES.has(name)) return true
  const {message} = (error ?? {}) as {message?: unknown}
  const isRefusal = status === 400 || status === 403 || status === 409
  return isRefusal && typeof message === 'string' && WORDS.test(message)
}

/** What HEAD tells of an object's own lock. */
export function lockOf(
  key: string,
  told: Pick<
    HeadObjectCommandOutput,
    'ObjectLockLegalHoldStatus' | 'ObjectLockMode' | 'ObjectLockRetainUntilDate'
  >,
): LockedObject {
  const until = told.ObjectLockRetainUntilDate?.getTime()
  return {
    key,
    ...(told.ObjectLockMode === undefined ? {} : {mode: untrusted(told.ObjectLockMode, 40)}),
    ...(told.ObjectLockLegalHoldStatus === 'ON' ? {legalHold: true} : {}),
    ...(until === undefined || Number.isNaN(until) ? {} : {until}),
  }
}

/** The refusal in an operator's words. What was not locked is gone. */
export function lockError(locked: readonly LockedObject[], bucket: string): DumontError {
  const [first] = locked
  const more = locked.length > 1 ? ` and ${locked.length - 1} more` : ''
  const message = `a lock of bucket ${bucket} keeps ${first?.key ?? 'objects'}${more} from being removed${ruleOf(locked)}`
  return new DumontError('ACCESS_DENIED', message, {
    hint: 'nothing is wrong with the credentials: run the command again when the lock has ended, or change the rule of the bucket',
  })
}

function ruleOf(locked: readonly LockedObject[]): string {
  if (locked.some(({legalHold}) => legalHold)) return ': a legal hold, without an end'
  const untils = locked.flatMap(({until}) => until ?? [])
  const mode = locked.find((one) => one.mode !== undefined)?.mode
  const rule = mode === undefined ? '' : ` (object lock, ${mode.toLowerCase()})`
  if (untils.length === 0)
    return `${rule}; the store does not tell until when: see the lock rules of the bucket`
  return `${rule} until ${new Date(Math.max(...untils)).toISOString()}`
}
