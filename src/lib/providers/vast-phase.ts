import type {Phase} from './provider.js'
import type {VastRecord} from './vast-record.js'

const BY_STATUS: Readonly<Record<string, Phase>> = {
  created: 'starting',
  exited: 'failed',
  frozen: 'stopped',
  loading: 'starting',
  offline: 'unreachable',
  rebooting: 'starting',
  recycling: 'starting',
  restarting: 'starting',
  running: 'running',
  stopped: 'stopped',
  unknown: 'unreachable',
}

const BOOTING = new Set(['', 'created', 'loading'])
const FAILURE =
  /error|failed|oci runtime|permission denied|manifest.*(?:not found|unknown)|not found/iu

type States = Pick<
  VastRecord,
  | 'actual_status'
  | 'cur_state'
  | 'image_uuid'
  | 'intended_status'
  | 'is_bid'
  | 'next_state'
  | 'status_msg'
>

/** What a record's states mean together. Statuses nobody has seen yet are `unknown`, never an error. */
export function vastPhase(row: States): Phase {
  const actual = (row.actual_status ?? '').toLowerCase()
  if (BOOTING.has(actual) && hasFailed(row)) return 'failed'
  // The vendor gave up: nobody stops what is still loading.
  if (actual === 'loading' && row.intended_status === 'stopped') return 'failed'
  const resting = row.is_bid === true ? 'interrupted' : 'stopped'
  const states = [row.cur_state, row.intended_status, row.next_state]
  if (states.every((state) => state === 'stopped')) return resting
  // Asked to run, and waiting for a GPU that another may hold.
  if (actual === 'stopped' && row.intended_status === 'running') return 'starting'
  if (actual === '') return 'provisioning'
  return BY_STATUS[actual] ?? 'unknown'
}

/** An image may be called anything, so its name says nothing. */
function hasFailed({image_uuid, status_msg}: States): boolean {
  const message = status_msg ?? ''
  return FAILURE.test(image_uuid ? message.replaceAll(image_uuid, '') : message)
}
