import path from 'node:path'
import type {Environment} from './environment.js'
import type {Layer} from './layers.js'

/** A file, and which setting names it. */
export interface NamedFile {
  /** Absolute. */
  readonly path: string
  readonly named: string
}

/** What was set of keys to the store; those that are secrets come from the environment only. */
export interface KeySettings {
  readonly keyFile?: NamedFile
  readonly passphraseFile?: NamedFile
  /** Secret text. */
  readonly text?: string
  readonly passphrase?: string
  /** Whether a new store is sealed; default true. */
  readonly encryption?: boolean
  /** The command itself says so. */
  readonly encryptionAsked: boolean
}

export function keySettings(
  {values, sourceOf}: Layer,
  {cwd, env, home}: {readonly cwd: string; readonly env: Environment; readonly home: string},
): KeySettings {
  const {encryption} = values
  const {DUMONT_KEY: text = '', DUMONT_PASSPHRASE: passphrase = ''} = env
  const named = (name: 'keyFile' | 'passphraseFile') => {
    const value = values[name]
    if (value === undefined) return {}
    const file = path.resolve(cwd, value.replace(/^~(?=\/)/, home))
    return {[name]: {path: file, named: sourceOf(name)}}
  }
  return {
    ...named('keyFile'),
    ...named('passphraseFile'),
    ...(text !== '' && {text}),
    ...(passphrase !== '' && {passphrase}),
    ...(encryption !== undefined && {encryption}),
    encryptionAsked: encryption !== undefined && sourceOf('encryption').startsWith('--'),
  }
}
