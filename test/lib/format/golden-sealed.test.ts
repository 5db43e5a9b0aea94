import {createHash, randomBytes} from 'node:crypto'
import {readdirSync, readFileSync} from 'node:fs'
import {join, relative} from 'node:path'
import {fileURLToPath} from 'node:url'
import {beforeAll, describe, expect, test} from '@jest/globals'
import {systemClock} from '../../../src/lib/clock.js'
import {isDumontError} from '../../../src/lib/errors.js'
import type {ChunkRecord} from '../../../src/lib/format/chunk-record.js'
import type {Keyring} from '../../../src/lib/seal/keyring.js'
import {openKeys} from '../../../src/lib/seal/open-keys.js'
import {parseSecretText} from '../../../src/lib/seal/secret-text.js'
import {openSlot, parseSlot, type Secret} from '../../../src/lib/seal/slot.js'
import {readManifest} from '../../../src/lib/snapshots/manifests.js'
import {StoredChunks} from '../../../src/lib/snapshots/stored-chunks.js'
import {readPacks, readStoredIndex} from '../../../src/lib/snapshots/stored-index.js'
import {verifySnapshot} from '../../../src/lib/snapshots/verify-snapshot.js'
import {keyedStore} from '../../../src/lib/store/keyed-store.js'
import {MemoryStore} from '../../../src/lib/store/memory-store.js'
import {openRepository} from '../../../src/lib/store/repository.js'
import type {Store} from '../../../src/lib/store/store.js'
import {expected, manifestOf, snapshots} from './golden.js'

const DIRECTORY = new URL('../../fixtures/format-1-sealed/', import.meta.url)
const STORE = new URL('store/', DIRECTORY)
const FOLDER = fileURLToPath(STORE)
const FILES = readdirSync(FOLDER, {recursive: true, withFileTypes: true})
  .filter((entry) => entry.isFile())
  .map(({name, parentPath}) => relative(FOLDER, join(parentPath, name)))
  .toSorted()
const {passphrase, secret: text} = JSON.parse(
  readFileSync(new URL('keys.json', DIRECTORY), 'utf8'),
) as {passphrase: string; secret: string}
const drawn = parseSecretText(text) ?? Buffer.alloc(0)
const SECRETS: Readonly<Record<string, Secret>> = {
  file: {kind: 'drawn', bytes: drawn},
  passphrase: {kind: 'passphrase', text: passphrase},
  recovery: {kind: 'drawn', bytes: drawn},
}

let inner: MemoryStore
let store: Store
let ring: Keyring

beforeAll(async () => {
  inner = new MemoryStore({clock: systemClock})
  for (const key of FILES) await inner.put(key, readFileSync(new URL(key, STORE)))
  const opened: Keyring[] = []
  for (const key of FILES.filter((one) => one.startsWith('keys/'))) {
    const slot = parseSlot(await inner.get(key))
    const secret = SECRETS[slot.kind]
    const found = secret && (await openSlot(slot, secret))
    if (found) opened.push(found)
  }
  expect(opened).toHaveLength(3)
  ring = opened[0] as Keyring
  expect(opened).toEqual([ring, ring, ring])
  store = keyedStore(inner, openKeys(ring, 'sealed', randomBytes))
})

test('says that it is sealed, and whose keys it has', async () => {
  const repository = await openRepository(inner, {create: false})
  expect(repository).toMatchObject({id: ring.repository, protection: 'sealed'})
})

describe.each(snapshots)('the sealed golden snapshot %s', (snapshot) => {
  test('gives back every file as the open one does', async () => {
    const {manifest} = await readManifest(store, snapshot)
    const packs = await readPacks(store, manifest)
    const records: ChunkRecord[] = []
    const chunks = new StoredChunks({chunkOf: (number) => records[number], kept: 64, packs, store})
    const found: (string | null)[] = []
    for await (const line of readStoredIndex(store, manifest, packs)) {
      if (line.sort === 'chunk') {
        records.push(line.chunk)
        continue
      }
      const content = Buffer.alloc(line.entry.size)
      for (const {at, chunk, length, offset} of line.entry.extents)
        content.set((await chunks.raw(chunk)).subarray(at, at + length), offset)
      const isFile = line.entry.kind === 'file'
      found.push(isFile ? createHash('sha256').update(content).digest('hex') : null)
    }
    expect(found).toEqual(expected(snapshot).map(({sha256}) => sha256))
  })

  test('is verified at every level, and has the tree of the open one', async () => {
    const {manifest} = await readManifest(store, snapshot)
    expect(manifest.index.merkle).toBe(manifestOf(snapshot).index.merkle)
    for (const level of ['listed', 'stored', 'decoded'] as const)
      expect(await verify(store, snapshot, level)).toEqual([])
  })

  test('names its parent by the digest of what is inside its seal', async () => {
    const {manifest} = await readManifest(store, snapshot)
    const {parent} = manifest
    if (parent) expect((await readManifest(store, parent.id)).sha256).toBe(parent.sha256)
    else expect(manifest.sequence).toBe(1)
  })
})

const DATA = FILES.filter((key) => /^(?:index|packs|snapshots)\//.test(key))

test.each(DATA)('every bit of %s counts', async (key) => {
  const bytes = readFileSync(new URL(key, STORE))
  const snapshot = snapshots.find((id) => key.includes(id)) ?? ''
  const last = Math.min(bytes.length, 130)
  const places = new Set([...Array(last).keys()].filter((at) => at % 13 === 0))
  for (let count = 0; count < 12; count++) places.add(Math.floor((bytes.length * count) / 12))
  places.add(bytes.length - (key.startsWith('snapshots/') ? 3 : 1))
  for (const at of places) {
    const damaged = Buffer.from(bytes)
    damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at)
    await inner.put(key, damaged, {onlyIfAbsent: false})
    expect([at, await isWhole(snapshot)]).toEqual([at, false])
  }
  await inner.put(key, bytes.subarray(0, -2), {onlyIfAbsent: false})
  expect(await isWhole(snapshot)).toBe(false)
  await inner.put(key, bytes, {onlyIfAbsent: false})
  expect(await isWhole(snapshot)).toBe(true)
})

test.each([
  ['segments', 'index/20261123T140200Z-golden/0', 'index/20261123T140200Z-golden/1'],
  ['lists', 'index/20261123T140200Z-golden/packs', 'index/20261123T150200Z-golde2/packs'],
  ['packs', 'packs/20261123T140200Z-golden/0-0-k7w2', 'packs/20261123T160200Z-golde3/0-0-k7w2'],
  ['manifests', 'snapshots/20261123T140200Z-golden.json', 'snapshots/20261123T150200Z-golde2.json'],
])('two %s that change places are refused', async (_what, one, other) => {
  const [first, second] = [await inner.get(one), await inner.get(other)]
  await inner.put(one, second, {onlyIfAbsent: false})
  await inner.put(other, first, {onlyIfAbsent: false})
  const whole = await isWhole('20261123T140200Z-golden')
  await inner.put(one, first, {onlyIfAbsent: false})
  await inner.put(other, second, {onlyIfAbsent: false})
  expect(whole).toBe(false)
})

async function isWhole(snapshot: string): Promise<boolean> {
  try {
    return (await verify(store, snapshot, 'decoded')).length === 0
  } catch (error) {
    if (isDumontError(error) && ['FORMAT_NEWER', 'INTEGRITY'].includes(error.code)) return false
    throw error
  }
}

async function verify(from: Store, snapshot: string, level: 'decoded' | 'listed' | 'stored') {
  const {manifest} = await readManifest(from, snapshot)
  const service = {clock: systemClock, random: randomBytes, report: () => {}, store: from}
  const request = {level, limit: 1e9, manifest, sample: 1}
  return (await verifySnapshot(service, request)).damaged
}
