import type {Clock} from '../clock.js'
import {DirectoryStore} from './directory-store.js'
import {throwIfInterrupted} from './interruption.js'
import {S3Store} from './s3-store.js'
import type {StoreLocation} from './store-location.js'
import type {Store} from './store.js'

export interface StoreDependencies {
  readonly clock: Clock
}

/** Nothing is created and no request made yet, so that `list` on a new store leaves no trace. The caller closes it. */
export async function openStore(
  location: StoreLocation,
  {clock}: StoreDependencies,
  signal?: AbortSignal,
): Promise<Store> {
  throwIfInterrupted(signal)
  if (location.kind === 'directory') return DirectoryStore.open(location.path, {clock})
  return new S3Store(location, {clock})
}
