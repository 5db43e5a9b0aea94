import {randomBytes} from 'node:crypto'
import {cp, mkdtemp, readFile, rm, truncate, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {systemClock} from '../../../src/lib/clock.js'
import {manifestKey, parseManifest} from '../../../src/lib/format/manifest.js'
import type {ProgressEvent} from '../../../src/lib/progress/events.js'
import {readPacks} from '../../../src/lib/snapshots/stored-index.js'
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

async function golden() {
  const key = manifestKey(ID)
  return parseManifest(await store.get(key), key)
}

async function verify(level: VerifyLevel, sample = 1) {
  const events: ProgressEvent[] = []
  const report = (event: ProgressEvent) => events.push(event)
  const service = {clock: systemClock, random: randomBytes, report, store}
  const request = {level, manifest: await golden(), sample}
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
    expect(result.damaged).toEqual([{key, reason: 'missing'}])
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
