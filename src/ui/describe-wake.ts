import type {Leak, WakePlan, WakeResult, Woken} from '../lib/instances/wake-request.js'
import type {Market} from '../lib/providers/provider.js'
import type {RankedOffer} from '../lib/providers/rank-offers.js'
import {untrusted} from '../lib/untrusted.js'
import {describeRestore, restoreAnswer} from './describe-restore.js'
import {dollars, hourly} from './money.js'
import {duration} from './part-window.js'
import {table} from './table.js'

const MOST_OFFERS = 8

/** Where the key of a machine is kept; undefined where `~/.ssh` decides. */
export type KeysOf = (provider: string, id: string) => string

/** Asked once before anything is rented. */
export function rentQuestion({count, estimate, maxSpend, offers}: WakePlan): string {
  const [best] = offers
  const most = maxSpend === undefined ? '' : ` (at most ${dollars(maxSpend)})`
  const what = best ? `${machineOf(best)} for ${hourly(best.offer.hourly)}` : 'a machine'
  return `Rent ${count === 1 ? '' : `${count}, the first being `}${what}? Until all is ready that is about ${dollars(estimate)}${most}. ${untrusted(best?.because ?? '', 300)}`
}

/** What `instance wake --json` answers. */
export function wakeAnswer({machines, ...result}: WakeResult): object {
  const shown = machines.map(({restored, ...machine}) => ({
    ...machine,
    ...(restored ? {restored: restoreAnswer(restored)} : {}),
  }))
  return {...result, machines: shown}
}

/** Every machine with its address, times and price; what is missing; what may still be billed. */
export function describeWake(result: WakeResult, keysOf: KeysOf): string {
  const {failures, kind, leaks, machines, plan, savings, seconds, snapshot, wasted} = result
  if (kind === 'planned') return plan ? describePlan(plan) : notRented(snapshot)
  return [
    ...machines.flatMap((machine) => describeMachine(machine, {keysOf, kind})),
    ...failures.map((failure) => `MISSING   ${failure}`),
    ...leaks.map(leakLine),
    ...(wasted > 0 ? [`wasted    about ${dollars(wasted)} for machines that were given back`] : []),
    ...(savings ? [`saved     ${dollars(savings.savedVersusRunning)} while it slept`] : []),
    `in all    ${duration(seconds * 1000)}`,
  ].join('\n')
}

function describeMachine(
  machine: Woken,
  {keysOf, kind}: {readonly keysOf: KeysOf; readonly kind: WakeResult['kind']},
): readonly string[] {
  const {because, hookFailure, instance, market, name, restored, seconds} = machine
  const price = machine.hourly === undefined ? '' : ` for ${hourly(machine.hourly)}`
  const where =
    kind === 'restored' ? machine.host : `${instance.provider}:${untrusted(instance.id, 80)}`
  const times = Object.entries(seconds).map(([step, value]) => `${step} ${fine(value)}`)
  return [
    `${where} is ready${price}${marketOf(market)}`,
    `ssh       ${sshCommand(machine, keysOf)}`,
    ...(restored
      ? [`restored  ${describeRestore(restored).replaceAll('\n', '\n          ')}`]
      : []),
    ...(hookFailure === undefined ? [] : [`NOT DONE  ready hook: ${hookFailure}`]),
    ...(because === undefined ? [] : [`chosen    ${untrusted(because, 300)}`]),
    `label     ${untrusted(name, 120)}`,
    `times     ${times.join(' · ')}`,
  ]
}

function fine(seconds: number): string {
  return seconds < 10 ? `${seconds.toFixed(1)} s` : duration(seconds * 1000)
}

/** With the file its key is pinned in, so that ssh knows it as well. */
function sshCommand({endpoint, host, instance}: Woken, keysOf: KeysOf): string {
  if (!endpoint || endpoint.address !== undefined) return `ssh ${untrusted(host, 300)}`
  const file = keysOf(instance.provider, instance.id)
  const {port, user} = endpoint
  return `ssh -p ${port} -o UserKnownHostsFile=${file} ${untrusted(user, 60)}@${untrusted(endpoint.host, 200)}`
}

/** What would be rented, best first, and why. */
function describePlan(plan: WakePlan): string {
  const {count, estimate, maxHourly, offers, snapshot, unfit} = plan
  const columns = [
    {title: 'OFFER'},
    {title: 'MACHINE'},
    {align: 'right', title: '$/H'},
    {align: 'right', title: 'READY'},
    {title: 'WHY'},
  ] as const
  const rows = offers
    .slice(0, MOST_OFFERS)
    .map((ranked) => [
      untrusted(ranked.offer.id, 40),
      machineOf(ranked),
      ranked.offer.hourly.toFixed(3),
      `${Math.ceil(ranked.minutesToReady)} min`,
      untrusted(ranked.because, 200),
    ])
  const left = offers.length - rows.length
  return [
    `dry run: nothing was rented; ${count} of ${offers.length} offers for at most ${hourly(maxHourly)} would be taken for ${snapshot}`,
    ...(rows.length > 0 ? [table(columns, rows)] : []),
    ...(left > 0 ? [`… and ${left} more`] : []),
    ...(unfit > 0 ? [`${unfit} more do not fit`] : []),
    `about ${dollars(estimate)} until all is ready`,
  ].join('\n')
}

function notRented(snapshot: string | undefined): string {
  return snapshot === undefined
    ? 'dry run: its disk is still there, so the instance itself would be started'
    : `dry run: ${snapshot} would be restored`
}

function machineOf({offer: {machine, spec}}: RankedOffer): string {
  const place = [machine && `machine ${untrusted(machine, 40)}`, untrusted(spec.region ?? '', 40)]
  const where = place.filter(Boolean).join(', ')
  return `${spec.gpuCount}× ${untrusted(spec.gpuName, 60)}${where === '' ? '' : ` (${where})`}`
}

function marketOf(market: Market | undefined): string {
  return market?.kind === 'spot' ? `, interruptible at a bid of ${dollars(market.bid)}` : ''
}

export function leakLine({hourly: price, id, label, why}: Leak): string {
  const what = id === undefined ? 'perhaps a machine' : untrusted(id, 80)
  return `BILLED?   ${what} labelled ${untrusted(label, 120)}, ${hourly(price)}: ${untrusted(why, 300)}`
}
