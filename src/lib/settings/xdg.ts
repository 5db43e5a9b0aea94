import {homedir} from 'node:os'
import path from 'node:path'
import type {Environment} from './environment.js'

/** dumont's own directories; none is created by asking. */
export interface Directories {
  readonly config: string
  readonly data: string
  readonly state: string
  readonly cache: string
}

/** As the XDG base directory specification has it: a value that is not absolute counts as unset. */
export function directoriesOf(env: Environment, home = homeOf(env)): Directories {
  const below = (variable: string, standard: string) => {
    const value = env[variable]
    const base = value !== undefined && path.isAbsolute(value) ? value : path.join(home, standard)
    return path.join(base, 'dumont')
  }
  return {
    config: below('XDG_CONFIG_HOME', '.config'),
    data: below('XDG_DATA_HOME', '.local/share'),
    state: below('XDG_STATE_HOME', '.local/state'),
    cache: below('XDG_CACHE_HOME', '.cache'),
  }
}

export function homeOf(env: Environment): string {
  const home = env['HOME']
  return home !== undefined && path.isAbsolute(home) ? home : homedir()
}
