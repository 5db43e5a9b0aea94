import type {ParityGroup} from '../format/group-list.js'
import type {Manifest} from '../format/manifest.js'
import type {PackRecord} from '../format/pack-list.js'
import type {SealedKind} from '../seal/store-keys.js'
import type {Reach} from '../store/reach.js'
import type {Store} from '../store/store.js'
import {offProtocol} from '../worker/protocol.js'
import {sealForBox, type GrantedUrl} from '../worker/requests.js'
import {objectsOf} from './group-claim.js'
import {objectSeal, type NamedObject} from './object-seals.js'

/** What a box may read in the request in hand, by key; without a kind it is only ever wanted as it is stored. */
export type Readable = ReadonlyMap<string, NamedObject & {readonly kind?: SealedKind}>

/** The objects of a snapshot's index, such packs of it as the box needs, and whatever else of its groups. */
export function readableOf(
  {
    groups: grouping,
    packs: list,
    segments,
  }: Pick<Manifest['index'], 'groups' | 'packs' | 'segments'>,
  packs: readonly PackRecord[],
  groups: readonly ParityGroup[] = [],
): Readable {
  const all = [
    ...groups.flatMap(objectsOf),
    ...(grouping ? [{...grouping, kind: 'groups'} as const] : []),
    {...list, kind: 'packs'} as const,
    ...segments.map((segment) => ({...segment, kind: 'segment'}) as const),
    ...packs.map((pack) => ({...pack, kind: 'pack'}) as const),
  ]
  return new Map(all.map((object) => [object.key, object]))
}

/** GET URLs, for objects of the request in hand only, with what opens each where they are sealed, unless they are wanted raw. */
export async function grantFetch(
  keys: readonly string[],
  {
    raw,
    readable,
    store,
  }: {readonly raw?: boolean; readonly readable: Readable; readonly store: Store},
  reach: Reach,
): Promise<readonly GrantedUrl[]> {
  const objects = keys.map((key) => {
    const object = readable.get(key)
    if (object && (raw || object.kind !== undefined)) return object
    throw offProtocol(`a request to read ${key}, which is none of its business`)
  })
  return Promise.all(
    objects.map(async (object) => {
      const {key, kind} = object
      const seal = raw || kind === undefined ? undefined : objectSeal(store, kind, object)
      const {headers, url} = await reach.sign({method: 'GET', key})
      return {key, url, headers: {...headers}, ...(seal && {seal: sealForBox(seal)})}
    }),
  )
}
