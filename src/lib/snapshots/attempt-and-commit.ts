import {DumontError} from '../errors.js'
import type {Manifest} from '../format/manifest.js'
import {commitWhenReliable} from './commit-when-reliable.js'
import {attemptCreate, type Attempt, type CreateContext} from './create-attempt.js'
import {buildManifest} from './create-manifest.js'
import {markedKeys} from './marks.js'

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
    const lost = await commitWhenReliable({checked, manifest}, context.service, signal)
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
