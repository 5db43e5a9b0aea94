import {throwIfInterrupted} from '../store/interruption.js'
import {untrusted} from '../untrusted.js'
import type {HibernateRun} from './hibernate-run.js'
import {VALUES_LIMIT, type InstanceRecord} from './record.js'

/**
 * Values of an instance's environment, which wake would ask for otherwise: read from the vendor only where the record of them is
 * encrypted. Undefined when there are none to keep.
 */
export async function keptValues(
  {name, seen, service}: Pick<HibernateRun, 'name' | 'seen' | 'service'>,
  signal?: AbortSignal,
): Promise<InstanceRecord['values']> {
  const {provider, report, store} = service
  const {envNames} = seen.spec
  if (store.keys?.protection !== 'sealed' || !provider.values || envNames.length === 0)
    return undefined
  const leave = (why: string) =>
    report({kind: 'note', message: `values of the environment are not kept: ${why}`})
  try {
    const told = await provider.values(name.id, signal)
    const kept = Object.fromEntries(Object.entries(told).filter(([one]) => envNames.includes(one)))
    if (JSON.stringify(kept).length <= VALUES_LIMIT) return kept
    leave('they are too long')
  } catch (error) {
    throwIfInterrupted(signal)
    // The snapshot is whole without them: wake asks.
    leave(untrusted(error instanceof Error ? error.message : String(error), 200))
  }
  return undefined
}
