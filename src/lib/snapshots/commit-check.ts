import type {Report} from '../progress/events.js'
import type {Store} from '../store/store.js'
import type {Checked} from './create-claim.js'
import {markedKeys} from './marks.js'
import {unlistedPacks, unprovenObjects} from './presence.js'

/**
 * The packs of a snapshot that cannot be relied on: not in the store as they must be, or marked for removal. Marks are read
 * before the packs are looked for, so that a sweep that ends in between shows itself by the missing pack, and again after,
 * so that what is marked meanwhile is known; a mark made later is not swept before this snapshot is committed.
 */
export async function unreliablePacks(
  store: Store,
  {inherited, own}: Pick<Checked, 'inherited' | 'own'>,
  report: Report,
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  const before = await markedKeys(store, signal)
  const unlisted = await unlistedPacks(store, [...own, ...inherited], signal)
  const total = own.reduce((sum, {length}) => sum + length, 0)
  let seen = 0
  const unproven = await unprovenObjects(
    store,
    own,
    ({length}) => {
      seen += length
      report({kind: 'transfer', progress: checking(seen, total)})
    },
    signal,
  )
  const after = await markedKeys(store, signal)
  const marked = [...own, ...inherited]
    .map(({key}) => key)
    .filter((key) => before.has(key) || after.has(key))
  return new Set([...unlisted, ...unproven, ...marked])
}

function checking(raw: number, rawTotal: number) {
  return {
    phase: 'verify',
    files: 0,
    filesTotal: 0,
    raw,
    rawTotal,
    stored: 0,
    transferred: 0,
    parts: [],
  } as const
}
