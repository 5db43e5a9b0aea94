import {DumontError} from '../errors.js'
import type {Manifest} from '../format/manifest.js'
import type {Report} from '../progress/events.js'
import {throwIfInterrupted} from '../store/interruption.js'
import type {Store} from '../store/store.js'
import {commitManifest} from './commit.js'
import {unreliablePacks} from './commit-check.js'
import {attemptCreate, type Attempt, type CreateContext} from './create-attempt.js'
import type {Checked} from './create-claim.js'
import {buildManifest} from './create-manifest.js'
import {markedKeys} from './marks.js'

/** A quarter of the hour that marked objects stay. */
const FRESH_MS = 15 * 60_000
const ATTEMPTS = 3

/** Repeats without what turned out to be missing or marked; gives up after three times. */
export async function attemptAndCommit(
  context: CreateContext,
  label: string,
  signal?: AbortSignal,
): Promise<{attempt: Attempt; manifest?: Manifest}> {
  const {report, store} = context.service
  const unusable = new Set(await markedKeys(store, signal))
  for (let number = 1; number <= ATTEMPTS; number++) {
    const attempt = await attemptCreate(context, unusable, signal)
    const {checked} = attempt
    if (!checked) return {attempt}
    const manifest = buildManifest(context, label, {...attempt, checked})
    const lost = await commitWhenReliable({context, checked, manifest}, signal)
    if (lost.size === 0) return {attempt, manifest}
    for (const key of lost) unusable.add(key)
    report({
      kind: 'note',
      message: `${lost.size} packs went missing or are being removed: they are stored again`,
    })
  }
  throw new DumontError(
    'STORE_BUSY',
    `packs went missing from ${store.url} in ${ATTEMPTS} attempts`,
    {
      hint: 'look for another program or a lifecycle rule that removes objects there, then run the command again',
      retry: 'later',
    },
  )
}

/** Commits when every pack is there and none is marked; else gives those that are not to be relied on. */
async function commitWhenReliable(
  {
    checked,
    context,
    manifest,
  }: {readonly context: CreateContext; readonly checked: Checked; readonly manifest: Manifest},
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  const {clock, report, store} = context.service
  for (let round = 1; ; round++) {
    const since = clock.now()
    const lost = await unreliablePacks(store, checked, report, signal)
    if (lost.size > 0) return lost
    const isFresh = clock.now() - since < FRESH_MS
    if (isFresh || round === ATTEMPTS) {
      if (!isFresh) throw tooSlow(store)
      throwIfInterrupted(signal)
      report({kind: 'step', step: 'verify', state: 'done'})
      report({kind: 'step', step: 'commit', state: 'started'})
      await commitManifest(store, manifest)
      if (clock.now() - since >= FRESH_MS) await refuseLate(store, {checked, manifest, report})
      report({kind: 'step', step: 'commit', state: 'done', detail: manifest.id})
      return lost
    }
  }
}

/** A machine that slept between check and commit may have been overtaken by a sweep: nobody must trust such a snapshot. */
async function refuseLate(
  store: Store,
  {
    checked,
    manifest,
    report,
  }: {readonly checked: Checked; readonly manifest: Manifest; readonly report: Report},
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
