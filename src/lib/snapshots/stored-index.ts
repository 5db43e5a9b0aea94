import {createHash} from 'node:crypto'
import {DumontError, isDumontError} from '../errors.js'
import {parseGroupList, type ParityGroup} from '../format/group-list.js'
import {readIndex, readIndexBatches, type IndexLine} from '../format/index-reader.js'
import type {Manifest} from '../format/manifest.js'
import {parsePackList, type PackRecord} from '../format/pack-list.js'
import type {SealedKind} from '../seal/store-keys.js'
import type {Store} from '../store/store.js'
import {openObject, requireSeal} from './object-seals.js'

/** An object named together with its digest, as manifests do. */
export interface DigestedObject {
  readonly key: string
  /** Bytes. */
  readonly length: number
  readonly sha256: string
  readonly seal?: string
}

/** Raw, an object of the index has 64 MiB at most; what cannot be compressed grows a little, and a seal adds its header. */
const LARGEST = 65 * 1024 * 1024

type Indexed = Pick<Manifest, 'id'> & {
  readonly index: Pick<Manifest['index'], 'groups' | 'packs' | 'segments'>
}

/** What one index object holds; rejects INTEGRITY unless length, SHA-256 and seal are what its namer said. */
async function getDigested(
  store: Store,
  kind: SealedKind,
  object: DigestedObject,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const {key, length, sha256} = object
  // What the manifest of a stranger says, the memory here must bear.
  if (length > LARGEST)
    throw new DumontError('INTEGRITY', `${key} is told to have ${length} bytes, which none has`)
  const bytes = await store.get(key, {limit: length}, signal)
  if (bytes.length !== length)
    throw new DumontError(
      'INTEGRITY',
      `${key} has ${bytes.length} bytes where ${length} were stored`,
    )
  if (createHash('sha256').update(bytes).digest('hex') !== sha256)
    throw new DumontError('INTEGRITY', `${key} is not what was stored: its SHA-256 differs`)
  return openObject(store, kind, object, bytes)
}

/** The packs a snapshot needs, its own and inherited ones. */
export async function readPacks(
  store: Store,
  {id, index}: Indexed,
  signal?: AbortSignal,
): Promise<PackRecord[]> {
  const packs = await parsePackList(await getDigested(store, 'packs', index.packs, signal), id)
  for (const pack of packs) requireSeal(store, pack)
  return packs
}

/** The groups that a snapshot keeps, its own and inherited ones; none where it has no parity. */
export async function readGroups(
  store: Store,
  {id, index: {groups}}: Indexed,
  signal?: AbortSignal,
): Promise<ParityGroup[]> {
  return groups ? parseGroupList(await getDigested(store, 'groups', groups, signal), id) : []
}

/** Streams the index from the store, segment by segment, every digest and cross check done. */
export function readStoredIndex(
  store: Store,
  indexed: Indexed,
  packs: readonly PackRecord[],
  signal?: AbortSignal,
): AsyncGenerator<IndexLine, void, undefined> {
  return readIndex(segmentsOf(store, indexed, signal), {packs, snapshot: indexed.id})
}

/** The same in batches. */
export function readStoredBatches(
  store: Store,
  indexed: Indexed,
  packs: readonly PackRecord[],
  signal?: AbortSignal,
): AsyncGenerator<readonly IndexLine[], void, undefined> {
  return readIndexBatches(segmentsOf(store, indexed, signal), {packs, snapshot: indexed.id})
}

/** Each is fetched while the one before it is read. */
async function* segmentsOf(
  store: Store,
  {index: {segments}}: Indexed,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let coming: Promise<Uint8Array> | undefined
  for (const [number, segment] of segments.entries()) {
    const bytes = await (coming ?? getDigested(store, 'segment', segment, signal))
    const following = segments[number + 1]
    coming = following && getDigested(store, 'segment', following, signal)
    // Told when its turn comes, if it does.
    coming?.catch(() => {})
    yield bytes
  }
}

/** Keys of segments and of the list of packs that are missing or not what the manifest says. */
export async function damagedIndex(
  store: Store,
  {index: {packs, segments}}: Indexed,
  signal?: AbortSignal,
): Promise<string[]> {
  const damaged: string[] = []
  for (const [kind, object] of [
    ...segments.map((segment) => ['segment', segment] as const),
    ['packs', packs] as const,
  ]) {
    try {
      await getDigested(store, kind, object, signal)
    } catch (error) {
      if (!isDumontError(error) || error.code !== 'INTEGRITY') throw error
      damaged.push(object.key)
    }
  }
  return damaged
}

/** The same error, with what may help against a damaged index that has parity. */
export function withRemedy({id, index: {groups}}: Indexed, error: unknown): unknown {
  if (!isDumontError(error) || error.code !== 'INTEGRITY' || !groups) return error
  const hint = `dumont snapshot repair ${id} --host BOX may make it again`
  return new DumontError('INTEGRITY', error.message, {cause: error, hint})
}
