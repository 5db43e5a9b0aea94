import {DumontError, isDumontError} from '../errors.js'

/** Bytes of the store are not what the snapshot says they are. */
export function damaged(what: string, cause?: unknown): DumontError {
  return new DumontError('INTEGRITY', what, {cause})
}

/** The same error, saying where it was met; errors of another code are left as they are. */
export function at(where: string, error: unknown): unknown {
  return isDumontError(error) && error.code === 'INTEGRITY'
    ? damaged(`${where}: ${error.message}`, error)
    : error
}

export function newer(what: string, format: unknown): DumontError {
  return new DumontError(
    'FORMAT_NEWER',
    `${what} is of format ${String(format)}, this dumont reads format 1`,
    {
      hint: 'update dumont to a release that reads it',
    },
  )
}
