import {DumontError, isDumontError} from '../errors.js'

/** An operating system's failure under the store's directory, told with its remedy. */
export function directoryError(root: string, error: unknown): DumontError {
  if (isDumontError(error)) return error
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? 'unknown failure'
  const store = `the store ${root}`
  if (code === 'EACCES' || code === 'EPERM')
    return new DumontError('ACCESS_DENIED', `not allowed to use ${store} (${code})`, {
      cause: error,
      hint: 'make the directory readable and writable for you, or choose another with --store',
    })
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new DumontError('TARGET_UNWRITABLE', `no space left in ${store}`, {
      cause: error,
      hint: 'free space there, or choose another store with --store; running the command again continues',
      retry: 'later',
    })
  if (code === 'EROFS')
    return new DumontError('TARGET_UNWRITABLE', `${store} is on a read-only file system`, {
      cause: error,
    })
  if (code === 'ENOTDIR')
    return new DumontError('CONFIG', `${store} is not a directory`, {
      cause: error,
      hint: 'give a directory with --store file:///path',
    })
  if (code === 'EOPNOTSUPP' || code === 'ENOTSUP' || code === 'ENOSYS' || code === 'EMLINK')
    return new DumontError(
      'STORE_UNSUITABLE',
      `${store} lies on a file system without hard links`,
      {
        cause: error,
        hint: 'dumont needs them to create an object exactly once; choose a directory on another file system',
      },
    )
  return new DumontError('UNREACHABLE', `${store} cannot be used: ${code}`, {
    cause: error,
    retry: 'later',
  })
}
