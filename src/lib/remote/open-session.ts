import {openLocalSession, type Environment} from './local-session.js'
import type {Session} from './session.js'
import {readSshConfig} from './ssh-config-file.js'
import type {SshDependencies} from './ssh-dependencies.js'
import {pinnedTarget, type PinnedKeys} from './pinned-keys.js'
import {parseSshConfig} from './ssh-options.js'
import {openSshSession} from './ssh-session.js'
import {resolveTarget} from './ssh-target.js'

export interface SessionDependencies extends SshDependencies {
  /** The operator's environment; children of a local session see a whitelist of it. */
  readonly env: Environment
  /** The operator's home directory, absolute. */
  readonly home: string
  /** Key files to offer first, absolute. */
  readonly identities?: readonly string[]
  /** Where the key of this one host is kept, and taken at first sight. */
  readonly pin?: PinnedKeys
}

/** Opens what the operator named: `local`, or an SSH address by the rules of ~/.ssh/config. */
export async function openSession(
  text: string,
  dependencies: SessionDependencies,
  signal?: AbortSignal,
): Promise<Session> {
  const {env, home, identities = [], notice, pin} = dependencies
  if (text === 'local') return openLocalSession(env)
  const config = parseSshConfig(await readSshConfig(home, notice))
  const target = resolveTarget(text, {config, env, given: identities, home, notice})
  if (target.kind === 'local') return openLocalSession(env)
  return openSshSession(pin ? await pinnedTarget(target, pin) : target, dependencies, signal)
}
