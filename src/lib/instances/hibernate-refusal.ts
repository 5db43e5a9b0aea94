import {DumontError, isDumontError, type ErrorCode} from '../errors.js'
import type {Phase} from '../providers/provider.js'
import {untrusted} from '../untrusted.js'
import type {HibernateRun} from './hibernate-run.js'
import {isPassing} from './vendor-failure.js'

type Reason = readonly [code: ErrorCode, what: string, hint: string]

const REASONS: Readonly<Record<Exclude<Phase, 'gone' | 'running'>, Reason>> = {
  failed: ['UNREACHABLE', 'has failed', 'look at its log at the vendor'],
  interrupted: [
    'INSTANCE_BUSY',
    'was interrupted by its vendor; its disk is kept',
    'run the command again when it is back',
  ],
  provisioning: ['INSTANCE_BUSY', 'is still being made', 'run the command again when it runs'],
  starting: ['INSTANCE_BUSY', 'is still starting', 'run the command again when it runs'],
  stopped: [
    'INSTANCE_BUSY',
    'is stopped',
    'start it with `dumont instance wake`, then run the command again',
  ],
  unknown: ['INSTANCE_BUSY', 'is in a state dumont does not know', 'look at it at the vendor'],
  unreachable: [
    'UNREACHABLE',
    'cannot be reached by its vendor',
    'run the command again when its host is back',
  ],
}

/** Why nothing can be saved from an instance that does not run. */
export function refusal({name, record, seen}: HibernateRun): DumontError {
  const {phase} = seen
  const saved = record?.snapshot
  if (phase !== 'gone' && phase !== 'running') {
    const [code, what, hint] = REASONS[phase]
    const state = seen.state === '' ? '' : ` (${untrusted(seen.state, 80)})`
    return new DumontError(code, `${name.id} ${what}${state}`, {hint, retry: 'later'})
  }
  if (!saved)
    return new DumontError('USAGE', `this account has no instance ${untrusted(name.id, 80)}`, {
      hint: 'see `dumont instance list`; another account needs its own key',
    })
  const [successor] = record.successors.slice(-1)
  if (record.state === 'woken' && successor)
    return new DumontError(
      'USAGE',
      `${untrusted(name.id, 80)} was woken as ${untrusted(successor.id, 80)}`,
      {
        hint: 'hibernate that one',
      },
    )
  return new DumontError(
    'INCOMPLETE',
    `${untrusted(name.id, 80)} is gone, and not by dumont; what changed after ${saved.id} is lost`,
    {hint: `wake ${saved.id}: it was proven ${saved.provenAt ?? 'by nobody'}`},
  )
}

/** A box that went away in the middle is told as that, not as the broken connection it showed itself by. */
export async function explainFailure(
  run: HibernateRun,
  error: unknown,
  signal?: AbortSignal,
): Promise<unknown> {
  const isLoss = isPassing(error) || (isDumontError(error) && error.code === 'UNREACHABLE')
  if (!isLoss || signal?.aborted || run.end) return error
  try {
    const seen = await run.service.provider.get(run.name.id, signal)
    if (seen.phase === 'running') return error
    const why = refusal({...run, seen})
    return new DumontError(why.code, why.message, {
      cause: error,
      retry: why.retry,
      ...(why.hint === undefined ? {} : {hint: why.hint}),
    })
  } catch {
    return error
  }
}
