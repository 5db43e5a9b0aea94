import {DumontError} from '../errors.js'
import type {Manifest} from '../format/manifest.js'
import type {Report} from '../progress/events.js'
import {throwIfInterrupted} from '../store/interruption.js'
import type {Store} from '../store/store.js'
import {commitManifest} from './commit.js'
import {unreliablePacks} from './commit-check.js'
import type {Checked} from './create-claim.js'
import type {StoreService} from './service.js'

/** A quarter of the hour that marked objects stay. */
const FRESH_MS = 15 * 60_000
const ROUNDS = 3

/** What a worker made, checked, and the manifest that says so. */
interface Committable {
  readonly checked: Checked
  readonly manifest: Manifest
}

/** Commits when every pack is there and none is marked; else gives those that are not to be relied on. */
export async function commitWhenReliable(
  made: Committable,
  {clock, report, store}: Pick<StoreService, 'clock' | 'report' | 'store'>,
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  const {checked, manifest} = made
  for (let round = 1; ; round++) {
    const since = clock.now()
    const lost = await unreliablePacks(store, checked, report, signal)
    if (lost.size > 0) return lost
    const isFresh = clock.now() - since < FRESH_MS
    if (isFresh || round === ROUNDS) {
      if (!isFresh) throw tooSlow(store)
      throwIfInterrupted(signal)
      report({kind: 'step', step: 'verify', state: 'done'})
      report({kind: 'step', step: 'commit', state: 'started'})
      await commitManifest(store, manifest)
      if (clock.now() - since >= FRESH_MS) await refuseLate(store, made, report)
      report({kind: 'step', step: 'commit', state: 'done', detail: manifest.id})
      return lost
    }
  }
}

/** A machine that slept between check and commit may have been overtaken by a sweep: nobody must trust such a snapshot. */
async function refuseLate(
  store: Store,
  {checked, manifest}: Committable,
  report: Report,
): Promise<void> {
  const {size} = await unreliablePacks(store, checked, report)
  if (size === 0) return
  throw new DumontError(
    'INTEGRITY',
    `${manifest.id} was committed long after its packs were seen, and ${size} of them are gone or being removed`,
    {hint: `dumont snapshot delete ${manifest.id}, then run the command again`, retry: 'now'},
  )
}

function tooSlow(store: Store): DumontError {
  return new DumontError(
    'STORE_BUSY',
    `looking for all packs in ${store.url} takes longer than ${FRESH_MS / 60_000} minutes`,
    {
      hint: 'run the command again when the store answers faster: nothing is sent twice',
      retry: 'later',
    },
  )
}
