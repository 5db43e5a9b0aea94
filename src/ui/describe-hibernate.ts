import {formatBytes} from '../lib/bytes.js'
import type {EndQuestion, HibernateOutcome} from '../lib/instances/hibernate-request.js'
import type {Check, Receipt} from '../lib/instances/receipt-terms.js'
import {R2_PRICES} from '../lib/providers/savings.js'
import {untrusted} from '../lib/untrusted.js'
import {dollars, hourly} from './money.js'
import {duration} from './part-window.js'
import {table} from './table.js'

const MOST_PATHS = 10
const WIDTH = 160

/** Asked once, with everything proven. */
export function endQuestion({goal, instance, receipt, snapshot}: EndQuestion): string {
  const monthly = (snapshot.storedBytes / 1e9) * R2_PRICES.perGBMonth
  const {gpuCount, gpuName} = instance.spec
  const gpu = gpuName === '' ? '' : `${gpuCount}× ${untrusted(gpuName, 60)}, `
  const what = goal === 'destroy' ? 'Destroy' : 'Stop'
  const end = goal === 'destroy' ? 'Its disk is gone for good. ' : ''
  return `${snapshot.id} of ${untrusted(snapshot.label, 60)} (${formatBytes(snapshot.rawBytes)}) is proven by ${receipt.checks.length} checks and costs about ${dollars(monthly)} a month in the store. ${end}${what} ${untrusted(instance.id, 60)} (${gpu}${hourly(instance.hourly)})?`
}

/** What `instance hibernate --json` answers: the outcome, without what only this run can use. */
export function hibernateAnswer({receipt, ...outcome}: HibernateOutcome): object {
  if (!receipt) return outcome
  const {proof: _, ...shown} = receipt
  return {...outcome, receipt: shown}
}

/** What became of the instance, what was checked by whom, and how to get it back. */
export function describeHibernate(outcome: HibernateOutcome): string {
  const {instance, reasons, receipt, seconds, snapshot, state, volumes} = outcome
  const name = `${instance.provider}:${untrusted(instance.id, 80)}`
  return [
    `${name} is ${verdict(outcome)} · ${duration(seconds * 1000)}`,
    `snapshot  ${snapshot.id} of ${untrusted(snapshot.label, 80)}: ${formatBytes(snapshot.rawBytes)}, stored as ${formatBytes(snapshot.storedBytes)}`,
    ...reasons.map((reason) => `NOT DONE  ${reason}`),
    ...(receipt ? proven(receipt) : []),
    ...volumes.map((volume) => `kept      ${untrusted(volume, 120)}, and still billed`),
    ...money(outcome),
    ...(state === 'hibernated' ? [`wake it   dumont instance wake ${name}`] : []),
  ].join('\n')
}

function verdict({goal, state, stillHourly}: HibernateOutcome): string {
  if (state === 'hibernated') return 'gone, and hibernated'
  if (state === 'stopped') return 'stopped; its disk is still billed'
  if (state === 'destroy-unconfirmed')
    return 'perhaps still there: its end was asked for and cannot be seen yet; run the command again'
  const still = `it still runs for ${hourly(stillHourly)}`
  return goal === 'protect' ? `protected; ${still}` : `protected, but not ended; ${still}`
}

/** Each check with who made it; what only the box said is said to be that. */
function proven({checks, discarded}: Receipt): readonly string[] {
  const columns = [{title: 'PROVEN'}, {title: 'BY'}, {title: 'WHAT'}] as const
  const rows = checks.map((check) => [check.rule, check.by, whatOf(check)])
  const noise = checks.flatMap(({paths = []}) => paths)
  const shown = discarded.slice(0, MOST_PATHS).map((path) => `given up  ${untrusted(path, 200)}`)
  return [
    '',
    table(columns, rows),
    '',
    ...shown,
    ...(discarded.length > shown.length
      ? [`          … and ${discarded.length - shown.length} more`]
      : []),
    ...(noise.length > 0
      ? [`not saved ${noise.length} places outside that nobody misses; --json names them`]
      : []),
  ]
}

/** How much was looked at; all figures are in the JSON document. */
function whatOf({figures, what}: Check): string {
  const {bytesRead, files, packs} = figures
  const shown = [
    packs === undefined ? '' : `${packs} packs`,
    files === undefined ? '' : `${files} files`,
    bytesRead === undefined ? '' : `${formatBytes(bytesRead)} read back`,
  ].filter((fact) => fact !== '')
  const told = untrusted(what, WIDTH)
  return shown.length === 0 ? told : `${told}: ${shown.join(', ')}`
}

function money({monthly, state}: HibernateOutcome): readonly string[] {
  if (!monthly || state !== 'hibernated') return []
  const {dumont, running, savedVersusRunning, stopped} = monthly
  const kept = stopped === undefined ? '' : `, stopped ${dollars(stopped)}`
  return [
    `a month   asleep ${dollars(dumont.total)}, running ${dollars(running)}${kept}: saves ${dollars(savedVersusRunning)}`,
  ]
}
