import type {Fault, FaultRule} from '../support/faulty-proxy.js'
import type {Dice} from './dice.js'

const KINDS = {
  'corrupt-body': 3,
  'cut-request': 3,
  'drop-response': 3,
  'truncate-body': 3,
  status: 6,
} as const

/** Some rules for what the store does wrong next. `isPatient`: also what takes half a minute to be noticed. */
export function trouble(dice: Dice, isPatient: boolean): FaultRule[] {
  // Now and then the store is away for as long as it takes a command to give up.
  const away = {fault: faultOf('status', dice), skip: dice.below(12), times: 60}
  const outage = dice.isWithin(0.08) ? [away] : []
  const mishaps = Array.from({length: 3 + dice.below(12)}, () => {
    const kind =
      isPatient && dice.isWithin(0.03)
        ? dice.one(['stall', 'stall-body'] as const)
        : dice.weighted(KINDS)
    const isBody = ['corrupt-body', 'stall-body', 'truncate-body'].includes(kind)
    return {
      fault: faultOf(kind, dice),
      ...(isBody ? {method: 'GET'} : kind === 'cut-request' ? {method: 'PUT'} : {}),
      ...(dice.isWithin(0.3)
        ? {path: dice.one([/\/packs\//u, /\/index\//u, /\/snapshots\//u, /list-type/u])}
        : {}),
      skip: dice.below(6),
      times: kind === 'status' ? 1 + dice.below(6) : 1,
    }
  })
  return [...mishaps, ...outage]
}

function faultOf(kind: Fault['kind'], dice: Dice): Fault {
  const afterBytes = dice.one([0, 1, 200, 5000, 100_000])
  if (kind === 'status')
    return dice.one<Fault>([
      {kind, status: 500, code: 'InternalError'},
      {kind, status: 503, code: 'SlowDown'},
      {kind, status: 429, code: 'TooManyRequests', headers: {'retry-after': '1'}},
      {kind, status: 403, code: 'ExpiredToken'},
    ])
  if (kind === 'corrupt-body') return {kind, at: afterBytes}
  if (kind === 'drop-response' || kind === 'stall') return {kind}
  return {kind: kind as 'cut-request' | 'stall-body' | 'truncate-body', afterBytes}
}
