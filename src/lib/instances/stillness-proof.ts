import {untrusted} from '../untrusted.js'
import type {BoxTools} from './box-tools.js'
import {describeProcess} from './processes.js'
import type {Check, Refusal} from './receipt-terms.js'
import {lookForWriters, type Restless} from './stillness.js'

const SHOWN = 20

/** Nobody writes below the roots or holds GPU memory, or whoever does is stopped. */
export async function proveStillness(
  tools: BoxTools,
  roots: readonly string[],
  signal?: AbortSignal,
): Promise<{readonly checks: readonly Check[]; readonly refusals: readonly Refusal[]}> {
  const {gpuAsked, processes, restless} = await lookForWriters(tools, roots, signal)
  if (restless.length > 0)
    return {
      checks: [],
      refusals: [
        {
          message: `not still: ${restless.slice(0, SHOWN).map(describeRestless).join(', ')}`,
          remedy: 'end them, or add --stop-processes or --freeze',
          rule: 'stillness',
        },
      ],
    }
  const gpu = gpuAsked ? 'nvidia-smi' : 'open devices alone: there is no nvidia-smi'
  const what = `no process writes below the roots or holds GPU memory (by ${gpu})`
  return {checks: [{by: 'box', figures: {processes}, rule: 'stillness', what}], refusals: []}
}

/** For showing: who, and what it does. */
export function describeRestless(one: Restless): string {
  const who = describeProcess(one)
  if (one.why === 'gpu') return `${who} holds GPU memory`
  if (one.why === 'unseen') return `${who} has open files that cannot be seen`
  return `${who} writes ${untrusted(one.path ?? '', 200)}`
}
