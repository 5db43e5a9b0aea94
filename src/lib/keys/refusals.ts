import {DumontError} from '../errors.js'
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

/** Somebody who can write to the bucket may wish that all is stored in the open from now on. */
export async function refuseDowngrade(
  {url}: Store,
  {id}: OpenedRepository,
  {directory}: KeySources,
): Promise<void> {
  const file = keyFileOf(directory, id)
  if (!(await readSecretFile(file))) return
  throw new DumontError('INTEGRITY', `${url} had keys, and says that it has none`, {
    hint: `put dumont.json back from a copy; if the store never had keys, remove ${file}`,
  })
}
