import {DumontError, isDumontError} from '../errors.js'
import {mapBounded} from '../snapshots/map-bounded.js'
import {throwIfInterrupted} from '../store/interruption.js'
import {asDumontError, reasonOf} from './vendor-failure.js'
import {adoptMachines} from './wake-adopt.js'
import {wakeMachine, type Adopted} from './wake-machine.js'
import {refusePoorPlan} from './wake-plan.js'
import type {Leak, WakePlan, WakeResult, Woken} from './wake-request.js'
import {openOfferPool} from './wake-pool.js'
import type {WakeRun} from './wake-run.js'
import {discardMachine, sweepUnsettled} from './wake-sweep.js'

const AT_ONCE = 16

/**
 * Brings all machines that were asked for; goes on with what earlier runs left first, whatever the vendor offers. Rejects when
 * none is ready.
 */
export async function rentAll(
  begun: WakeRun,
  search: () => Promise<WakePlan>,
  signal?: AbortSignal,
): Promise<Omit<WakeResult, 'seconds'>> {
  const {leaks, request} = begun
  const failures: unknown[] = []
  const machines: Woken[] = []
  let run = begun
  let plan: WakePlan | undefined
  try {
    const adopted = await adoptMachines(begun, signal)
    const {kept, surplus} = divide(adopted, request.count)
    for (const one of surplus) await discardMachine(begun, one, signal)
    const wanted = request.count - kept.length
    plan = wanted > 0 ? await search() : await spares(begun, search, signal)
    run = withOffers(begun, plan)
    if (plan && wanted > 0) {
      refusePoorPlan({...plan, count: wanted})
      if (!(await request.confirm(plan, signal)))
        throw new DumontError('INTERRUPTED', 'nothing was rented')
    }
    const count = Math.max(request.count, kept.length)
    const places = Array.from({length: count}, (_, place) => kept[place])
    await mapBounded(places, AT_ONCE, async (one) => {
      try {
        machines.push(await wakeMachine(run, one, signal))
      } catch (error) {
        failures.push(error)
      }
    })
    await sweepUnsettled(run, signal)
  } catch (error) {
    throw withLeaks(error, leaks, machines)
  }
  const [first] = failures
  if (machines.length === 0 && first !== undefined) throw withLeaks(first, leaks, [])
  const lines = failures.map(reasonOf)
  const {wasted} = run.pool
  const found = plan ? {plan} : {}
  return {
    kind: 'woken',
    snapshot: run.snapshot.id,
    ...found,
    machines,
    failures: lines,
    leaks,
    wasted,
  }
}

/** Offers for the case that what is there fails; that there are none is no reason to let it go. */
async function spares(
  {service}: WakeRun,
  search: () => Promise<WakePlan>,
  signal?: AbortSignal,
): Promise<WakePlan | undefined> {
  try {
    return await search()
  } catch (error) {
    throwIfInterrupted(signal)
    service.report({kind: 'note', message: `no other machine was looked for: ${reasonOf(error)}`})
    return undefined
  }
}

function withOffers(run: WakeRun, plan: WakePlan | undefined): WakeRun {
  if (!plan) return run
  const {maxHourly, maxSpend, offers} = plan
  const downloadGB = run.snapshot.storedBytes / 1e9
  return {...run, maxHourly, pool: openOfferPool(offers, {downloadGB, maxSpend})}
}

/** What holds a restore is kept, however many were asked for; of the rest no more than that. */
function divide(adopted: readonly Adopted[], count: number) {
  const ordered = adopted.toSorted(
    (one, other) => Number(other.isRestored) - Number(one.isRestored),
  )
  const isKept = ({isRestored}: Adopted, place: number) => isRestored || place < count
  return {
    kept: ordered.filter(isKept),
    surplus: ordered.filter((one, place) => !isKept(one, place)),
  }
}

/** An error that says what is still rented: no other place would. */
function withLeaks(error: unknown, leaks: readonly Leak[], ready: readonly Woken[]): unknown {
  const rented = [
    ...leaks.map(
      ({hourly, id, label}) => `${id ?? 'perhaps one'} labelled ${label}${price(hourly)}`,
    ),
    ...ready.map(({hourly, instance}) => `${instance.id} (ready)${price(hourly)}`),
  ]
  const known = asDumontError(error)
  if (rented.length === 0 || !isDumontError(known)) return known
  return new DumontError(known.code, `${known.message}; still rented: ${rented.join(', ')}`, {
    cause: error,
    hint: 'run the same command again: it goes on with what is there; or end it at the vendor',
    retry: 'later',
  })
}

function price(hourly: number | undefined): string {
  return hourly === undefined ? '' : ` for $${hourly.toFixed(3)}/h`
}
