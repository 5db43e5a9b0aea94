import {randomBytes} from 'node:crypto'
import {cp, mkdtemp, readFile, rm, truncate, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {systemClock} from '../../../src/lib/clock.js'
import type {ChunkRecord} from '../../../src/lib/format/chunk-record.js'
import {manifestKey, parseManifest} from '../../../src/lib/format/manifest.js'
import type {ProgressEvent} from '../../../src/lib/progress/events.js'
import {readPacks, readStoredIndex} from '../../../src/lib/snapshots/stored-index.js'
import {verifySnapshot, type VerifyLevel} from '../../../src/lib/snapshots/verify-snapshot.js'
import {openStore} from '../../../src/lib/store/open-store.js'
import type {Store} from '../../../src/lib/store/store.js'

const ID = '20261123T140200Z-golden'
let directory: string
let store: Store

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dumont-verify-'))
  await cp('test/fixtures/format-1/store', directory, {recursive: true})
  store = await openStore({kind: 'directory', path: directory}, {clock: systemClock})
})
afterEach(async () => {
  await store.close()
  await rm(directory, {force: true, recursive: true})
})

async function golden(id = ID) {
  const key = manifestKey(id)
  return parseManifest(await store.get(key), key)
}

async function verify(level: VerifyLevel, sample = 1, {id = ID, limit = 1e9} = {}) {
  const events: ProgressEvent[] = []
  const report = (event: ProgressEvent) => events.push(event)
  const service = {clock: systemClock, random: randomBytes, report, store}
  const request = {level, limit, manifest: await golden(id), sample}
  return {events, ...(await verifySnapshot(service, request))}
}

async function firstPack() {
  const [pack] = await readPacks(store, await golden())
  if (pack === undefined) throw new Error('the golden snapshot has no pack')
  return {...pack, file: join(directory, pack.key)}
}

async function flipByte(file: string, at: number) {
  const bytes = await readFile(file)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await writeFile(file, bytes)
}

describe('a whole snapshot', () => {
  test.each(['listed', 'stored', 'decoded'] as const)('is whole at level %s', async (level) => {
    const result = await verify(level)
    expect(result).toMatchObject({damaged: [], damagedFiles: [], id: ID, level})
    expect(result.packsRead).toBe(level === 'listed' ? 0 : result.packs)
  })
  test('a sample reads at least one pack', async () => {
    expect((await verify('stored', 0.0001)).packsRead).toBe(1)
  })
})

describe('a damaged store', () => {
  test('a missing pack is named with every file that needs it', async () => {
    const {file, key} = await firstPack()
    await rm(file)
    const result = await verify('listed')
    expect(result.damaged).toEqual([{key, reason: 'missing', repairable: false}])
    expect(result.damagedFiles.length).toBeGreaterThan(0)
  })
  test('a short pack is seen in the listing', async () => {
    const {file, length} = await firstPack()
    await truncate(file, length - 1)
    expect((await verify('listed')).damaged[0]?.reason).toBe(
      `${length - 1} bytes instead of ${length}`,
    )
  })
  test.each(['stored', 'decoded'] as const)(
    'one flipped bit is found at level %s',
    async (level) => {
      await flipByte((await firstPack()).file, 100)
      const result = await verify(level)
      expect(result.damaged).toHaveLength(1)
      expect(result.damagedFiles.length).toBeGreaterThan(0)
    },
  )
  test('a damaged index is an integrity error, not a result', async () => {
    await flipByte(join(directory, 'index', ID, '0'), 40)
    await expect(verify('listed')).rejects.toMatchObject({code: 'INTEGRITY'})
  })
  test('a manifest that lies about its Merkle root is refused', async () => {
    const file = join(directory, manifestKey(ID))
    const text = await readFile(file, 'utf8')
    const {merkle} = (await golden()).index
    await writeFile(file, text.replace(merkle, '0'.repeat(64)))
    await expect(verify('listed')).rejects.toMatchObject({code: 'INTEGRITY'})
  })
  test('an interruption ends it', async () => {
    const service = {clock: systemClock, random: randomBytes, report: () => {}, store}
    const request = {level: 'decoded', manifest: await golden(), sample: 1} as const
    await expect(verifySnapshot(service, request, AbortSignal.abort())).rejects.toMatchObject({
      code: 'INTERRUPTED',
    })
  })
})

/** A store that vouches for what it does not hold any more: a bit of a pack has changed behind its checksum. */
function rotten(inner: Store, rot: {readonly key: string; readonly at: number}): Store {
  const get: Store['get'] = async (key, options, signal) => {
    const bytes = Buffer.from(await inner.get(key, options, signal))
    const place = rot.at - (options?.range?.[0] ?? 0)
    if (key === rot.key && place >= 0 && place < bytes.length)
      bytes.writeUInt8(bytes.readUInt8(place) ^ 1, place)
    return bytes
  }
  const head: Store['head'] = (key, signal) => inner.head(key, signal)
  return {...inner, get, head, url: inner.url, reach: inner.reach, close: () => inner.close()}
}

describe('a snapshot that differs from others', () => {
  const LEANING = '20261123T160200Z-golde3'
  const TUNED = 'bf16.safetensors'
  /** In the pack of the first snapshot; no file of the third has the chunk any more. */
  const inheritedBase = () => chunkOf((chunk) => chunk.pack === 0)
  /** In its own pack: the base of step-2, its copy, and step-3. */
  const ownBase = () => chunkOf((chunk, all) => isBase(chunk, all) && chunk.transform === 'planes4')
  const LEAN_ON_OWN = [
    'checkpoints/step-1',
    'checkpoints/step-2',
    'checkpoints/step-3',
    'copy of step-2',
  ]

  function isBase({chunk}: ChunkRecord, all: readonly ChunkRecord[]) {
    return all.some(({delta}) => delta?.base === chunk)
  }

  async function chunkOf(wanted: (chunk: ChunkRecord, all: readonly ChunkRecord[]) => boolean) {
    const manifest = await golden(LEANING)
    const packs = await readPacks(store, manifest)
    const all: ChunkRecord[] = []
    for await (const line of readStoredIndex(store, manifest, packs))
      if (line.sort === 'chunk') all.push(line.chunk)
    const chunk = all.find((one) => wanted(one, all))
    const key = packs[chunk?.pack ?? -1]?.key
    if (!chunk || key === undefined) throw new Error('the golden snapshot has no such chunk')
    return {...chunk, file: join(directory, key), key}
  }

  test.each(['listed', 'stored', 'decoded'] as const)('is whole at level %s', async (level) => {
    expect(await verify(level, 1, {id: LEANING})).toMatchObject({damaged: [], damagedFiles: []})
  })
  test.each(['listed', 'stored', 'decoded'] as const)(
    'loses what leans on a missing pack at level %s, and says so',
    async (level) => {
      const {file, key} = await inheritedBase()
      await rm(file)
      const {damaged, damagedFiles} = await verify(level, 1, {id: LEANING})
      expect(damaged).toEqual([{key, reason: 'missing', repairable: false}])
      // The other file has a chunk of that pack itself.
      expect(damagedFiles).toEqual([TUNED, ''])
    },
  )
  test.each(['stored', 'decoded'] as const)(
    'loses every file that leans on a damaged base at level %s',
    async (level) => {
      const {at, key} = await ownBase()
      store = rotten(store, {at: at + 100, key})
      const {damaged, damagedFiles} = await verify(level, 1, {id: LEANING})
      expect(damaged.map((one) => one.key)).toEqual([key])
      expect(damaged[0]?.reason).toMatch(/^1 of 10 chunks/)
      expect(damagedFiles).toEqual(LEAN_ON_OWN)
    },
  )
  test('loses a difference alone where the base is sound', async () => {
    const {at, key} = await chunkOf(({delta, transform}) => !!delta && transform === 'planes2')
    store = rotten(store, {at: at + 100, key})
    expect((await verify('decoded', 1, {id: LEANING})).damagedFiles).toEqual([TUNED])
  })
  test('finds a damaged base although its own pack is not drawn', async () => {
    const {at, key} = await inheritedBase()
    store = rotten(store, {at: at + 100, key})
    const found = []
    // Whichever of the three packs is drawn, what it decodes to is known afterwards.
    for (let round = 0; round < 30; round += 1)
      found.push(await verify('decoded', 0.3, {id: LEANING}))
    const seen = found.filter(({damaged, packsRead}) => packsRead === 1 && damaged.length > 0)
    expect(new Set(seen.map(({damaged}) => damaged[0]?.key))).toEqual(new Set([key]))
    expect(new Set(seen.map(({damaged}) => damaged[0]?.reason))).toContain(
      'a chunk that others differ from is damaged',
    )
    for (const {damagedFiles} of seen) expect(damagedFiles).toEqual([TUNED])
  })
  test('counts the bases that it reads, each once', async () => {
    const whole = await verify('stored', 1, {id: LEANING})
    const decoded = await verify('decoded', 1, {id: LEANING})
    const bases = [await inheritedBase(), await ownBase()].reduce((sum, one) => sum + one.stored, 0)
    expect(decoded.bytesRead - whole.bytesRead).toBeGreaterThan(bases)
    expect(decoded.bytesRead).toBeLessThan(2 * whole.bytesRead)
  })
  test('reads no more than it may, bases included, once one pack is read', async () => {
    const {length} = await firstPack()
    for (let round = 0; round < 10; round += 1)
      expect(
        (await verify('decoded', 1, {id: LEANING, limit: length + 200})).bytesRead,
      ).toBeLessThanOrEqual(length + 200)
    expect((await verify('decoded', 1, {id: LEANING, limit: 0})).packsRead).toBe(1)
  })
})
