import {DumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'

/** USAGE for a path that means nothing on a box, where no working directory is known and no shell expands it. */
export function requireAbsolute(path: string): void {
  if (path.startsWith('/')) return
  const named = path === '' ? 'an empty path' : untrusted(path)
  throw new DumontError('USAGE', `${named} is not an absolute path`, {
    hint: path.startsWith('~') ? 'write the home directory out, as in /root' : 'begin it with /',
  })
}
