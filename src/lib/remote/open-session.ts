import {openLocalSession, type Environment} from './local-session.js'
import type {Session} from './session.js'
import {readSshConfig} from './ssh-config-file.js'
import type {SshDependencies} from './ssh-dependencies.js'
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
}

/** Opens what the operator named: `local`, or an SSH address by the rules of ~/.ssh/config. */
export async function openSession(
  text: string,
  dependencies: SessionDependencies,
  signal?: AbortSignal,
): Promise<Session> {
  const {env, home, identities = [], notice} = dependencies
  if (text === 'local') return openLocalSession(env)
  const config = parseSshConfig(await readSshConfig(home, notice))
  const target = resolveTarget(text, {config, env, given: identities, home, notice})
  return target.kind === 'local'
    ? openLocalSession(env)
    : openSshSession(target, dependencies, signal)
}
