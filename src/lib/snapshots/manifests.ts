import {createHash} from 'node:crypto'
import {isDumontError, type DumontError} from '../errors.js'
import {manifestKey, parseManifest, type Manifest} from '../format/manifest.js'
import type {ObjectInfo, Store} from '../store/store.js'
import {mapBounded} from './map-bounded.js'

/** A manifest as it lies in the store. */
export interface StoredManifest {
  readonly id: string
  readonly manifest: Manifest
  /** Of the stored bytes; what a successor records of its parent. */
  readonly sha256: string
}

/** A snapshot whose manifest is there but cannot be used: damaged (INTEGRITY) or of a later format (FORMAT_NEWER). */
export interface UnreadableManifest {
  readonly id: string
  readonly key: string
  readonly error: DumontError
}

/** All snapshots of a store. Whoever removes or chooses "the newest" must look at both lists. */
export interface Survey {
  readonly readable: readonly StoredManifest[]
  readonly unreadable: readonly UnreadableManifest[]
}

/** Each takes a round trip and next to no time of its own. */
const AT_ONCE = 48
const LIMIT = 65_536
const KEY = /^snapshots\/(?<id>[^/]+)\.json$/

/** Manifests that need not be fetched: they never change. */
export interface KnownManifests {
  /** Undefined for what must be fetched. */
  find(listed: ObjectInfo): StoredManifest | undefined
  /** Told of every good one that was. */
  learn(listed: ObjectInfo, bytes: Uint8Array, found: StoredManifest): void
}

const NONE: KnownManifests = {find: () => undefined, learn: () => {}}

/** Reads every manifest from the store; one that is damaged or newer does not hide the others. */
export function surveyManifests(store: Store, signal?: AbortSignal): Promise<Survey> {
  return surveyUnknown(store, NONE, signal)
}

/** The same, but reads only those that are not known. */
export async function surveyUnknown(
  store: Store,
  known: KnownManifests,
  signal?: AbortSignal,
): Promise<Survey> {
  const listed: ObjectInfo[] = []
  for await (const object of store.list('snapshots/', signal)) listed.push(object)
  const found = await mapBounded(
    listed,
    AT_ONCE,
    async (object) => known.find(object) ?? (await readOne(store, object, known, signal)),
    signal,
  )
  return {
    readable: found.flatMap((one) => (one && 'manifest' in one ? [one] : [])),
    unreadable: found.flatMap((one) => (one && 'error' in one ? [one] : [])),
  }
}

/** One manifest by id; INTEGRITY when absent or damaged, FORMAT_NEWER. */
export async function readManifest(
  store: Store,
  id: string,
  signal?: AbortSignal,
): Promise<StoredManifest> {
  return parsed(id, await store.get(manifestKey(id), {limit: LIMIT}, signal))
}

function parsed(id: string, bytes: Uint8Array): StoredManifest {
  return {id, manifest: parseManifest(bytes, manifestKey(id)), sha256: sha256(bytes)}
}

async function readOne(
  store: Store,
  listed: ObjectInfo,
  known: KnownManifests,
  signal?: AbortSignal,
): Promise<StoredManifest | UnreadableManifest | undefined> {
  const {key} = listed
  const id = KEY.exec(key)?.groups?.['id'] ?? key.slice('snapshots/'.length)
  try {
    const bytes = await store.get(manifestKey(id), {limit: LIMIT}, signal)
    const found = parsed(id, bytes)
    known.learn(listed, bytes, found)
    return found
  } catch (error) {
    if (!isDumontError(error) || !['FORMAT_NEWER', 'INTEGRITY'].includes(error.code)) throw error
    // Deleted since it was listed: then it is no snapshot any more.
    if (!(await store.head(key, signal))) return undefined
    return {id, key, error}
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
