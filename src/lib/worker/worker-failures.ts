import {DumontError} from '../errors.js'

/** The program ended although a request was open, or before it said hello. */
export function endedEarly(label: string, exitCode: number, stderr: string): DumontError {
  const tail = stderr && `:\n${stderr}`
  return new DumontError(
    'WORKER',
    `the worker on ${label} ended (exit ${exitCode}) before it was done${tail}`,
    {
      hint: 'run the command again: what was already stored is not sent twice',
      retry: 'later',
    },
  )
}

export function silent(label: string, silenceMs: number): DumontError {
  return new DumontError('UNREACHABLE', `${label} has not been heard for ${silenceMs / 1000} s`, {
    hint: 'see whether the box still answers, then run the command again: it continues',
    retry: 'later',
  })
}

export function otherVersion(label: string, theirs: number, ours: number): DumontError {
  return new DumontError(
    'WORKER',
    `the worker on ${label} speaks protocol ${theirs}, this program ${ours}`,
  )
}
