import type {ListedInstance} from '../lib/instances/instance-list.js'
import type {InstanceSurvey} from '../lib/instances/instance-survey.js'
import {untrusted} from '../lib/untrusted.js'
import {leakLine} from './describe-wake.js'
import {dollars} from './money.js'
import {table} from './table.js'

const HOUR_MS = 3_600_000

/** The table of `instance list`, then what may be billed and is in nobody's hands; nothing for none. */
export function describeInstances({instances, leaks}: InstanceSurvey, now: number): string {
  const columns = [
    {title: 'INSTANCE'},
    {title: 'LABEL'},
    {title: 'STATE'},
    {title: 'GPU'},
    {align: 'right', title: 'AGE'},
    {align: 'right', title: 'COST'},
    {align: 'right', title: 'SAVED'},
    {title: 'UNPROTECTED'},
  ] as const
  const rows = instances.map((one) => [
    `${one.provider}:${one.id}`,
    one.label ?? '-',
    stateOf(one),
    gpuOf(one),
    one.ageMs === undefined ? '-' : age(one.ageMs),
    cost(one),
    takenAt(one, now),
    one.unprotected ?? '-',
  ])
  const shown = rows.length === 0 ? [] : [table(columns, rows)]
  return [...shown, ...leaks.map(leakLine)].join('\n')
}

function stateOf({state, waking}: ListedInstance): string {
  return waking.length === 0 ? state : `${state}, waking as ${untrusted(waking.join(', '), 120)}`
}

function gpuOf({gpu, gpuCount}: ListedInstance): string {
  if (gpu === undefined) return '-'
  return gpuCount === 1 ? gpu : `${gpuCount}× ${gpu}`
}

/** How long ago its last snapshot was taken. */
function takenAt({snapshot}: ListedInstance, now: number): string {
  if (snapshot?.takenAt === undefined) return 'never'
  return `${age(Math.max(0, now - snapshot.takenAt))} ago`
}

function cost({hourly, monthly}: ListedInstance): string {
  if (hourly !== undefined) return `${dollars(hourly)}/h`
  return monthly === undefined ? '-' : `${dollars(monthly)}/mo`
}

/** `35 min`, `26 h`, `12 d`. */
function age(milliseconds: number): string {
  const hours = milliseconds / HOUR_MS
  if (hours < 1) return `${Math.floor(hours * 60)} min`
  return hours < 48 ? `${Math.floor(hours)} h` : `${Math.floor(hours / 24)} d`
}
