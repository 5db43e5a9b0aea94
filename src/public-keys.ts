import {DumontError} from './lib/errors.js'
import {findPublicKeys} from './lib/remote/public-keys.js'
import {processEnvironment} from './lib/settings/environment.js'
import {homeOf} from './lib/settings/xdg.js'
import {identitiesOf} from './operator.js'

/** Keys a rented machine shall let in; USAGE where there is none, for nobody could then reach it. */
export async function publicKeys(
  flags: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const env = processEnvironment()
  const given = identitiesOf(flags)
  const keys = await findPublicKeys({env, given, home: homeOf(env)}, signal)
  if (keys.length > 0) return keys
  throw new DumontError('USAGE', 'there is no SSH key that a new machine could let in', {
    hint: 'make one with ssh-keygen -t ed25519, load one with ssh-add, or name one with --identity',
  })
}
