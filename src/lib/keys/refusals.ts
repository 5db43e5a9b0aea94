import {DumontError} from '../errors.js'
import type {Keyring} from '../seal/keyring.js'
import type {OpenedRepository} from '../store/repository.js'
import type {Store} from '../store/store.js'
import {keyFileOf, readSecretFile} from './secret-file.js'
import type {KeySources} from './sources.js'

/** What was asked for cannot be had by a store that is otherwise for good. */
export function refuseOther(
  store: Store,
  {protection}: OpenedRepository,
  {encryption}: {readonly encryption: boolean},
): void {
  if (encryption === (protection === 'sealed')) return
  const is =
    protection === undefined ? 'was made without keys' : `is ${protection} since it was made`
  throw new DumontError(
    'USAGE',
    `--${encryption ? '' : 'no-'}encryption is only for new stores; ${store.url} ${is}`,
    {hint: 'leave the flag out, or name another prefix for a new store'},
  )
}

/** `dumont.json` lies in the open, and could be made to say that what is sealed is stored in the open from now on. */
export function requireProtection(
  {url}: Pick<Store, 'url'>,
  {protection}: Pick<OpenedRepository, 'protection'>,
  keyring: Keyring,
): void {
  if (keyring.protection === undefined || keyring.protection === protection) return
  throw new DumontError(
    'INTEGRITY',
    `${url} is ${keyring.protection} by its keys, and says that it is ${protection ?? 'without keys'}`,
    {hint: 'put dumont.json back from a copy: somebody has changed it'},
  )
}

/** Somebody who can write to the bucket may wish that all is stored in the open from now on. */
export async function refuseDowngrade(
  {url}: Store,
  {id}: OpenedRepository,
  {directory, keyFile, passphrase, passphraseFile, text}: KeySources,
): Promise<void> {
  if (keyFile ?? passphrase ?? passphraseFile ?? text)
    throw new DumontError('INTEGRITY', `a key to ${url} is named, and it says that it has none`, {
      hint: 'put dumont.json back from a copy; if the store never had keys, leave the key out',
    })
  const file = keyFileOf(directory, id)
  if (!(await readSecretFile(file))) return
  throw new DumontError('INTEGRITY', `${url} had keys, and says that it has none`, {
    hint: `put dumont.json back from a copy; if the store never had keys, remove ${file}`,
  })
}
