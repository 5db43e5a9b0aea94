import type {StoredObject} from '../format/group-list.js'
import type {Report} from '../progress/events.js'
import type {Store} from '../store/store.js'
import type {Checked} from './create-claim.js'
import {objectsOf, type CheckedGroups} from './group-claim.js'
import {markedKeys} from './marks.js'
import {unlistedPacks, unprovenObjects} from './presence.js'

/**
 * What a snapshot stands on and cannot rely on, its packs, its groups and its index: not in the store as it must be, or marked
 * for removal: an index that was stored more than a day ago is as much nobody's as a pack, until its manifest is there. Marks are read
 * before the packs are looked for: a sweep removes a mark after its packs, so whichever of the two was still there is seen.
 * What is marked from then on is not swept before an hour has passed, and by then this snapshot's manifest is found.
 */
export async function unreliablePacks(
  store: Store,
  {groups, index, inherited, own}: Pick<Checked, 'groups' | 'index' | 'inherited' | 'own'>,
  report: Report,
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  const marked = await markedKeys(store, signal)
  const stored = ownObjects(own, groups)
  const total = stored.reduce((sum, {length}) => sum + length, 0)
  let seen = 0
  const count = ({length}: StoredObject) => {
    seen += length
    report({kind: 'transfer', progress: checking(seen, total)})
  }
  const grouped = [...groups.kept, ...groups.made].flatMap(objectsOf)
  const lists = index.groups ? [index.groups] : []
  const named = [...own, ...inherited, ...grouped, ...lists, ...index.segments, index.packs]
  const [unlisted, unproven] = await Promise.all([
    unlistedPacks(store, named, signal),
    unprovenObjects(store, stored, count, signal),
  ])
  const doomed = named.map(({key}) => key).filter((key) => marked.has(key))
  return new Set([...unlisted, ...unproven, ...doomed])
}

/** What this run has stored, or one that it goes on with; its index was proven when it was read back. */
function ownObjects(own: readonly StoredObject[], {made}: CheckedGroups): readonly StoredObject[] {
  const all = [...own, ...made.flatMap(objectsOf)]
  return [...new Map(all.map((object) => [object.key, object])).values()].filter(
    ({key}) => !key.startsWith('index/'),
  )
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
