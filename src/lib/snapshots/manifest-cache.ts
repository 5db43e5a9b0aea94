import {createHash} from 'node:crypto'
import {readFile, stat} from 'node:fs/promises'
import {join} from 'node:path'
import * as v from 'valibot'
import {parseManifest} from '../format/manifest.js'
import type {StoreKeys} from '../seal/store-keys.js'
import type {ObjectInfo, Store} from '../store/store.js'
import type {KnownManifests, StoredManifest} from './manifests.js'
import {writeWhole} from './state-file.js'

/** Manifests this machine has read before. For showing only: whoever decides anything reads the store. */
export interface ManifestCache extends KnownManifests {
  /** Writes what was learnt; forgets what was not asked for since it was opened. */
  save(): Promise<void>
}

/** Some 30,000 snapshots. What is beyond is fetched each time. */
const LARGEST = 64 * 1024 * 1024

const line = v.tuple([v.string(), v.number(), v.string(), v.string()])

interface Cached {
  readonly modified: number
  readonly sha256: string
  readonly text: string
}

/**
 * One file for each store. A line counts only while the store lists that key with that length and time; damage counts as absence.
 * Manifests of a store with keys lie here as they do there: sealed, or with their MAC.
 */
export async function openManifestCache(
  cacheDir: string,
  {keys, url}: Pick<Store, 'keys' | 'url'>,
): Promise<ManifestCache> {
  const name = sha256Of(url).slice(0, 32)
  const path = join(cacheDir, 'manifests', `${name}.jsonl`)
  const cached = new Map((await readSmall(path)).split('\n').flatMap(parse))
  const kept = new Map<string, Cached>()
  let isNew = false
  return {
    find(object) {
      const one = cached.get(object.key)
      const found = one && manifestOf(one, object, keys)
      if (found) kept.set(object.key, one)
      return found
    },
    learn({key, modified}, bytes) {
      const stored = closed(keys, key, bytes)
      if (!stored) return
      kept.set(key, {modified, sha256: sha256Of(stored), text: Buffer.from(stored).toString()})
      isNew = true
    },
    async save() {
      if (isNew || kept.size < cached.size) await writeWhole(path, textOf(kept))
    },
  }
}

/** Nothing where it cannot be read, or is larger than it was written. */
async function readSmall(path: string): Promise<string> {
  try {
    const {size} = await stat(path)
    return size > LARGEST ? '' : await readFile(path, 'utf8')
  } catch {
    return ''
  }
}

function parse(text: string): [string, Cached][] {
  try {
    const [key, modified, sha256, manifest] = v.parse(line, JSON.parse(text))
    return [[key, {modified, sha256, text: manifest}]]
  } catch {
    // As good as never read.
    return []
  }
}

function manifestOf(
  {modified, sha256, text}: Cached,
  {key, length, modified: listed}: ObjectInfo,
  keys: StoreKeys | undefined,
): StoredManifest | undefined {
  const stored = Buffer.from(text, 'utf8')
  if (modified !== listed || stored.length !== length || sha256Of(stored) !== sha256)
    return undefined
  try {
    const bytes = keys ? keys.reveal('manifest', key, stored) : stored
    const manifest = parseManifest(bytes, key)
    return {id: manifest.id, manifest, sha256: keys ? sha256Of(bytes) : sha256}
  } catch {
    // Of another release, perhaps: the store is asked, and what it says is told.
    return undefined
  }
}

/** Undefined on a machine that can read a store but has no key to write to it. */
function closed(
  keys: StoreKeys | undefined,
  key: string,
  bytes: Uint8Array,
): Uint8Array | undefined {
  try {
    return keys ? keys.close('manifest', key, bytes) : bytes
  } catch {
    return undefined
  }
}

function sha256Of(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function textOf(kept: ReadonlyMap<string, Cached>): string {
  const lines: string[] = []
  let size = 0
  // The newest are asked for most.
  for (const [key, {modified, sha256, text}] of [...kept].toReversed()) {
    const next = `${JSON.stringify([key, modified, sha256, text])}\n`
    size += Buffer.byteLength(next)
    if (size > LARGEST) break
    lines.push(next)
  }
  return lines.toReversed().join('')
}
