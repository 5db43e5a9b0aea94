import {createHash} from 'node:crypto'
import {isDumontError, type DumontError} from '../errors.js'
import {manifestKey, parseManifest, type Manifest} from '../format/manifest.js'
import type {Store} from '../store/store.js'
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

const AT_ONCE = 16
const LIMIT = 65_536
const KEY = /^snapshots\/(?<id>[^/]+)\.json$/

/** Reads every manifest; one that is damaged or newer does not hide the others. */
export async function surveyManifests(store: Store, signal?: AbortSignal): Promise<Survey> {
  const keys: string[] = []
  for await (const {key} of store.list('snapshots/', signal)) keys.push(key)
  const found = await mapBounded(keys, AT_ONCE, (key) => readOne(store, key, signal), signal)
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
  const key = manifestKey(id)
  const bytes = await store.get(key, {limit: LIMIT}, signal)
  return {id, manifest: parseManifest(bytes, key), sha256: sha256(bytes)}
}

async function readOne(
  store: Store,
  key: string,
  signal?: AbortSignal,
): Promise<StoredManifest | UnreadableManifest | undefined> {
  const id = KEY.exec(key)?.groups?.['id'] ?? key.slice('snapshots/'.length)
  try {
    return await readManifest(store, id, signal)
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
