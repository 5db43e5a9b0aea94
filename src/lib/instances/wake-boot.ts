import type {Instance} from '../providers/provider.js'

/** Past this a machine that does not run is given back. */
export const BOOT_MS = 15 * 60_000
/** A read may lag behind a create. */
const UNSEEN_MS = 180_000
/** A contract without any word about it. */
const BLANK_MS = 120_000
/** A host that was lost may come back. */
const LOST_MS = 120_000

const FAILURE = /error|failed|oci runtime|permission denied|manifest.*(?:not found|unknown)/iu

/** What was seen of a machine that shall start. */
export interface BootSight {
  readonly instance: Instance
  /** Milliseconds since the create. */
  readonly since: number
  /** Milliseconds since it was last anything but unreachable. */
  readonly lostFor: number
  /** It was shown before. */
  readonly wasSeen: boolean
}

export type BootVerdict =
  | {readonly kind: 'failed'; readonly why: string}
  | {readonly kind: 'running'}
  | {readonly kind: 'wait'}

/** Whether to go on waiting for a machine: a pure function over everything vendors have been seen to say. */
export function bootVerdict({instance, lostFor, since, wasSeen}: BootSight): BootVerdict {
  const {message, phase} = instance
  if (phase === 'running') return {kind: 'running'}
  if (phase === 'gone' && (wasSeen || since > UNSEEN_MS)) return failed('is gone')
  if (phase === 'failed') return failed(message ?? 'failed to start')
  if (phase === 'stopped' || phase === 'interrupted') return failed('was stopped before it ran')
  if (phase === 'unreachable' && lostFor > LOST_MS) return failed('has a host that is not reached')
  const isStarting = phase === 'provisioning' || phase === 'starting'
  if (isStarting && message !== undefined && FAILURE.test(message)) return failed(message)
  if (isStarting && isBlank(instance) && since > BLANK_MS) return failed('says nothing of itself')
  if (since > BOOT_MS) return failed(`does not run after ${BOOT_MS / 60_000} minutes`)
  return {kind: 'wait'}
}

function isBlank({endpoints, message, state}: Instance): boolean {
  const isSilent = state === '' || state === 'null'
  return isSilent && message === undefined && endpoints.length === 0
}

function failed(why: string): BootVerdict {
  return {kind: 'failed', why}
}
