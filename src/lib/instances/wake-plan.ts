import {DumontError} from '../errors.js'
import {offerMismatch} from '../providers/offer-match.js'
import type {Spec} from '../providers/provider.js'
import {rankOffers} from '../providers/rank-offers.js'
import {untrusted} from '../untrusted.js'
import type {InstanceService} from './instance-service.js'
import type {RecordedSnapshot} from './record.js'
import {costToReady} from './wake-pool.js'
import type {WakePlan, WakeRequest} from './wake-request.js'
import type {WakeSource} from './wake-source.js'

const DEAREST = 1.25
const HOURS = 8

/** Offers for the machine that is wanted, checked again here, best first, with what they will cost. */
export async function planWake(
  request: WakeRequest,
  {
    service,
    snapshot,
    source,
    spec,
  }: {
    readonly service: InstanceService
    readonly source: WakeSource
    readonly snapshot: RecordedSnapshot
    readonly spec: Spec
  },
  signal?: AbortSignal,
): Promise<WakePlan> {
  const {provider, report} = service
  if (!provider.search || !provider.create)
    throw new DumontError('USAGE', `${provider.name} rents no machines from here`, {
      hint: 'add --host to restore onto a machine you have',
    })
  refuseMissingValues(request, spec)
  const maxHourly = dearest(request, source)
  if (maxHourly === undefined)
    throw new DumontError('USAGE', 'what the old box cost is not known', {
      hint: 'add --max-price with the most an hour may cost',
    })
  report({kind: 'step', step: 'find-offers', state: 'started'})
  const found = await provider.search(spec, {maxHourly}, signal)
  const offers = found.filter((offer) => offerMismatch(offer, spec, {maxHourly}) === undefined)
  const downloadGB = snapshot.storedBytes / 1e9
  const preferMachine = source.record?.instance.machine
  const ranked = rankOffers(offers, {
    hours: request.hours ?? HOURS,
    downloadGB,
    ...(preferMachine == null ? {} : {preferMachine}),
  })
  const [best] = ranked
  report({
    kind: 'step',
    step: 'find-offers',
    state: 'done',
    detail: best ? untrusted(best.because, 200) : 'none',
  })
  return {
    snapshot: snapshot.id,
    offers: ranked,
    unfit: found.length - offers.length,
    count: request.count,
    maxHourly,
    maxSpend: request.maxSpend,
    estimate: ranked
      .slice(0, request.count)
      .reduce((sum, one) => sum + costToReady(one, downloadGB), 0),
  }
}

/** Fewer offers than machines, or more money than may be spent: said before anything is rented. */
export function refusePoorPlan({
  count,
  estimate,
  maxHourly,
  maxSpend,
  offers,
  unfit,
}: WakePlan): void {
  if (offers.length < count)
    throw new DumontError(
      'VENDOR_BUSY',
      `there are ${offers.length} offers like the old box for at most $${maxHourly.toFixed(3)}/h${unfit > 0 ? `, and ${unfit} that do not fit` : ''}; ${count} needed`,
      {hint: 'try later, or add --max-price, --gpu or --region', retry: 'later'},
    )
  if (maxSpend !== undefined && estimate > maxSpend)
    throw new DumontError(
      'USAGE',
      `until it is ready this costs about $${estimate.toFixed(2)}, more than --max-spend`,
      {hint: 'raise --max-spend'},
    )
}

/** The most an hour may cost; undefined where neither the operator nor the record of the old box says. */
export function dearest({maxHourly}: WakeRequest, {record}: WakeSource): number | undefined {
  const old = record?.instance.hourly
  return maxHourly ?? (old == null ? undefined : old * DEAREST)
}

function refuseMissingValues({env}: WakeRequest, {envNames}: Spec): void {
  const missing = envNames.filter((name) => env[name] === undefined)
  if (missing.length === 0) return
  const names = missing.map((name) => untrusted(name, 80)).join(', ')
  throw new DumontError('USAGE', `the old box had values for ${names}; they are not stored`, {
    hint: 'add --env-file with a line NAME=value for each (empty where none is needed)',
  })
}
