import {DumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'

/** The first segment no object may have: a directory store keeps unfinished objects there. */
export const UNFINISHED = 'tmp'

const SEGMENT = /^[A-Za-z0-9._-]+$/
const MAX_LENGTH = 512

/** `/`-separated segments of `[A-Za-z0-9._-]`, none of them `.` or `..`, not below `tmp/`. */
export function isKey(key: string): boolean {
  const segments = key.split('/')
  return key.length <= MAX_LENGTH && segments[0] !== UNFINISHED && segments.every(isSegment)
}

/** Keys may come from objects of the store, so a bad one is damage (INTEGRITY), never a path to follow. */
export function assertKey(key: string): void {
  if (!isKey(key))
    throw new DumontError('INTEGRITY', `not the name of a stored object: ${untrusted(key, 200)}`)
}

/** A prefix is a key, or the beginning of one. */
export function assertPrefix(prefix: string): void {
  const segments = prefix.split('/')
  const last = segments.pop() ?? ''
  if (!segments.every(isSegment) || !(last === '' || isSegment(last) || /^\.+$/.test(last)))
    throw new DumontError(
      'INTEGRITY',
      `not the beginning of an object's name: ${untrusted(prefix, 200)}`,
    )
}

function isSegment(segment: string): boolean {
  return SEGMENT.test(segment) && segment !== '.' && segment !== '..'
}
