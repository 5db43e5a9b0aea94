import path from 'node:path'
import {DumontError} from '../errors.js'
import {type Environment} from '../settings/environment.js'
import type {ReadKeyFile} from './key-file.js'

export interface VastKey {
  readonly key: string
  /** The variable or file it came from, to be named when it is refused. */
  readonly from: string
}

interface Places {
  readonly env: Environment
  readonly home: string
  readonly read: ReadKeyFile
}

/**
 * The account's key, looked for where the vendor's own tools do, in their order: `VAST_API_KEY`, the key file in the
 * configuration directory, `~/.vast_api_key`. Undefined when there is none; CONFIG for a file that others can read or
 * for what cannot be a key. No message holds it.
 */
export async function findVastKey({env, home, read}: Places): Promise<VastKey | undefined> {
  const given = env['VAST_API_KEY']?.trim()
  if (given) return {key: checked(given, 'VAST_API_KEY'), from: 'VAST_API_KEY'}
  const configured = env['XDG_CONFIG_HOME']
  const config =
    configured !== undefined && path.isAbsolute(configured)
      ? configured
      : path.join(home, '.config')
  for (const file of [
    path.join(config, 'vastai', 'vast_api_key'),
    path.join(home, '.vast_api_key'),
  ]) {
    const found = await read(file)
    if (!found) continue
    if ((found.mode & 0o077) !== 0)
      throw new DumontError('CONFIG', `${file} holds a key that others can read`, {
        hint: `chmod 600 ${file}`,
      })
    return {key: checked(found.text.trim(), file), from: file}
  }
  return undefined
}

/** Anything else could not be sent in a header, whose error message would quote it. */
function checked(key: string, from: string): string {
  if (/^[\x21-\x7E]{8,512}$/u.test(key)) return key
  throw new DumontError('CONFIG', `${from} holds no key`, {
    hint: 'it should be one line, as the vendor shows it',
  })
}
