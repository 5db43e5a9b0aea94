import {randomBytes} from 'node:crypto'
import {cp, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import type {ProgressEvent} from '../../../src/lib/progress/events.js'
import {readManifest} from '../../../src/lib/snapshots/manifests.js'
import {readPacks} from '../../../src/lib/snapshots/stored-index.js'
import {
  verifySnapshots,
  type VerifyManyRequest,
} from '../../../src/lib/snapshots/verify-snapshots.js'
import {whatToVerify} from '../../../src/lib/snapshots/what-to-verify.js'
import {openStore} from '../../../src/lib/store/open-store.js'
import type {Store} from '../../../src/lib/store/store.js'
import {ManualClock} from '../../support/manual-clock.js'

const FIRST = '20261123T140200Z-golden'
const THIRD = '20261123T160200Z-golde3'
let directory: string
let stateDir: string
let store: Store
let clock: ManualClock
/** Keys of packs whose bytes were fetched whole, in order. */
let read: string[]
let events: ProgressEvent[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dumont-verify-'))
  stateDir = await mkdtemp(join(tmpdir(), 'dumont-state-'))
  await cp('test/fixtures/format-1/store', directory, {recursive: true})
  clock = new ManualClock()
  store = watched(await openStore({kind: 'directory', path: directory}, {clock}))
  read = []
  events = []
})
afterEach(async () => {
  await store.close()
  await rm(directory, {force: true, recursive: true})
  await rm(stateDir, {force: true, recursive: true})
})

function watched(inner: Store): Store {
  const get: Store['get'] = async (key, options, signal) => {
    if (key.startsWith('packs/') && options?.range === undefined) read.push(key)
    return inner.get(key, options, signal)
  }
  const head: Store['head'] = (key, signal) => inner.head(key, signal)
  const list: Store['list'] = (prefix, signal) => inner.list(prefix, signal)
  return {...inner, get, head, list, url: inner.url, reach: inner.reach, close: () => inner.close()}
}

async function verify(
  change: Partial<VerifyManyRequest> & {readonly id?: string} = {},
  signal?: AbortSignal,
) {
  const {id, ...rest} = change
  const service = {
    clock,
    random: randomBytes,
    report: (event: ProgressEvent) => void events.push(event),
    stateDir,
    store,
  }
  const {repository, ...wanted} = await whatToVerify(id, service)
  const request = {
    again: false,
    choice: {kind: 'all'},
    level: 'stored',
    ...wanted,
    ...rest,
  } as const
  return verifySnapshots(request, {repository, service}, signal)
}

async function allPacks(): Promise<string[]> {
  const keys = new Set<string>()
  for (const {manifest} of (await whatToVerify(undefined, {stateDir, store})).snapshots)
    for (const {key} of await readPacks(store, manifest)) keys.add(key)
  return [...keys].toSorted()
}

async function flipByte(file: string, at: number) {
  const bytes = await readFile(join(directory, file))
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await writeFile(join(directory, file), bytes)
}

/** Aborts once so many packs were read. */
function afterReading(count: number): AbortSignal {
  const controller = new AbortController()
  const inner = store
  store = {
    ...inner,
    close: () => inner.close(),
    get: async (key, options, signal) => {
      const bytes = await inner.get(key, options, signal)
      if (read.length >= count) controller.abort()
      return bytes
    },
    head: (key, signal) => inner.head(key, signal),
    list: (prefix, signal) => inner.list(prefix, signal),
  }
  return controller.signal
}

describe('a snapshot that only a GPU decodes', () => {
  const library = {distribution: 'nvidia-nvcomp-cu12', name: 'nvcomp-ans-6', version: '6.0.0.12'}
  const nvidia = {libraries: [{...library, wheels: []}]}
  const snapshots = async () => {
    const [one] = (await whatToVerify(FIRST, {stateDir, store})).snapshots
    if (one === undefined) throw new Error('no snapshot')
    return [{...one, manifest: {...one.manifest, nvidia}}]
  }

  test('is not decoded on this machine, and told where it can be, before anything is read', async () => {
    const asked = verify({level: 'decoded', snapshots: await snapshots()})
    await expect(asked).rejects.toMatchObject({
      code: 'BOX_UNSUITABLE',
      hint: expect.stringMatching(/--host GPUBOX.*--level stored/u),
      message: expect.stringContaining(FIRST),
    })
    expect(read).toEqual([])
  })

  test('is compared byte by byte all the same', async () => {
    const {broken, snapshots: found} = await verify({snapshots: await snapshots()})
    expect([broken, found.map(({id}) => id)]).toEqual([[], [FIRST]])
  })
})

describe('all snapshots', () => {
  test.each(['stored', 'decoded'] as const)(
    'are whole at level %s, and what they share is read once',
    async (level) => {
      const result = await verify({level})
      expect(result).toMatchObject({asserted: false, broken: [], packsEarlier: 0})
      expect(result.snapshots.map(({damaged}) => damaged)).toEqual([[], [], []])
      expect(read.toSorted()).toEqual(await allPacks())
      expect(result).toMatchObject({packs: read.length, packsRead: read.length})
    },
  )
  test('are listed without reading a pack', async () => {
    expect((await verify({level: 'listed'})).packsRead).toBe(0)
    expect(read).toEqual([])
    // Nor is anything written down.
    expect(await readdir(stateDir)).toEqual([])
  })
  test('that share a missing pack are all named, with what is left of each', async () => {
    const [pack] = await readPacks(store, (await readManifest(store, FIRST)).manifest)
    await rm(join(directory, pack?.key ?? ''))
    const {snapshots} = await verify()
    const hurt = snapshots.filter(({damaged}) => damaged.length > 0)
    expect(hurt.length).toBeGreaterThan(1)
    for (const {damagedFiles, files, id} of hurt) {
      const {counts} = (await readManifest(store, id)).manifest
      expect(files).toEqual({lost: damagedFiles.length, whole: counts.files - damagedFiles.length})
    }
  })
  test('are looked at although the index of one is damaged', async () => {
    await flipByte(`index/${FIRST}/0`, 40)
    const {broken, snapshots} = await verify()
    expect(broken).toMatchObject([{error: {code: 'INTEGRITY'}, id: FIRST}])
    expect(snapshots.map(({id}) => id)).toHaveLength(2)
  })
  test('are looked at although the manifest of one is damaged', async () => {
    await flipByte(`snapshots/${FIRST}.json`, 0)
    const {broken, snapshots} = await verify({level: 'listed'})
    expect(broken).toMatchObject([{error: {code: 'INTEGRITY'}, id: FIRST}])
    expect(snapshots).toHaveLength(2)
  })
})

describe('a run that was cut off', () => {
  test('goes on with what was not read', async () => {
    await expect(verify({}, afterReading(2))).rejects.toMatchObject({code: 'INTERRUPTED'})
    const before = [...read]
    read = []
    const result = await verify()
    expect(result.packsEarlier).toBeGreaterThan(0)
    expect(result.packsEarlier + read.length).toBe((await allPacks()).length)
    expect([...new Set([...before, ...read])].toSorted()).toEqual(await allPacks())
  })
  test('begins anew at a copy of the store, of which nothing was read yet', async () => {
    await expect(verify({}, afterReading(2))).rejects.toMatchObject({code: 'INTERRUPTED'})
    await store.close()
    await cp(directory, `${directory}-copy`, {preserveTimestamps: true, recursive: true})
    await rm(directory, {recursive: true})
    directory = `${directory}-copy`
    store = watched(await openStore({kind: 'directory', path: directory}, {clock}))
    read = []
    const result = await verify()
    expect(read.toSorted()).toEqual(await allPacks())
    expect(result.packsEarlier).toBe(0)
  })
  test('begins anew with --again', async () => {
    await expect(verify({}, afterReading(2))).rejects.toMatchObject({code: 'INTERRUPTED'})
    read = []
    await clock.advance(1000)
    expect((await verify({again: true})).packsEarlier).toBe(0)
    expect(read.toSorted()).toEqual(await allPacks())
  })
  test('does not count for another level or another choice of snapshots', async () => {
    await expect(verify({}, afterReading(2))).rejects.toMatchObject({code: 'INTERRUPTED'})
    await clock.advance(1000)
    expect((await verify({level: 'decoded'})).packsEarlier).toBe(0)
    await clock.advance(1000)
    expect((await verify({id: THIRD})).packsEarlier).toBe(0)
  })
  test('shows how far it was', async () => {
    await expect(verify({}, afterReading(2))).rejects.toMatchObject({code: 'INTERRUPTED'})
    events = []
    await verify()
    const last = events.findLast((event) => event.kind === 'transfer')?.progress
    expect(last?.raw).toBe(last?.rawTotal)
    expect(last?.transferred).toBeLessThan(last?.raw ?? 0)
  })
  test('reads everything again once it has ended', async () => {
    await verify()
    await clock.advance(1000)
    read = []
    await verify()
    expect(read.toSorted()).toEqual(await allPacks())
  })
  test('reads a damaged pack again and names it again', async () => {
    await flipByte((await allPacks())[0] ?? '', 100)
    const once = await verify()
    const twice = await verify()
    expect(twice.snapshots.map(({damaged}) => damaged)).toEqual(
      once.snapshots.map(({damaged}) => damaged),
    )
  })
})

describe('runs that cover everything together', () => {
  const cover = (runs: number) => verify({choice: {kind: 'cover', runs}})

  test('read each pack once in their number', async () => {
    const all = await allPacks()
    for (let run = 0; run < all.length; run += 1) {
      await clock.advance(1000)
      await cover(all.length)
    }
    expect(read.toSorted()).toEqual(all)
  })
  test('begin with what has waited longest', async () => {
    const all = await allPacks()
    const order: string[] = []
    for (let run = 0; run < 2 * all.length; run += 1) {
      await clock.advance(1000)
      read = []
      await cover(all.length)
      order.push(...read)
    }
    expect(order.slice(all.length)).toEqual(order.slice(0, all.length))
  })
  test('are not held up by packs that are gone', async () => {
    const all = await allPacks()
    await rm(join(directory, all[0] ?? ''))
    for (let run = 0; run < all.length; run += 1) {
      await clock.advance(1000)
      await cover(all.length)
    }
    expect(read.toSorted()).toEqual(all.slice(1))
  })
  test('count what a whole run has read', async () => {
    await verify({id: FIRST})
    const known = [...read]
    read = []
    await clock.advance(1000)
    await cover((await allPacks()).length)
    expect(known).not.toContain(read[0])
  })
})

test('a share of the packs is drawn over all snapshots', async () => {
  const {packsRead} = await verify({choice: {kind: 'share', share: 0.0001}})
  expect(packsRead).toBe(1)
})

test('what a box has read is its word, and no proof for the operator', async () => {
  const asked: number[][] = []
  const box: VerifyManyRequest['box'] = async ({numbers}, onRead) => {
    asked.push([...numbers])
    for (const number of numbers)
      await onRead(number, {badBases: [], badChunks: [], reason: undefined})
    return 0
  }
  expect(await verify({box, id: FIRST})).toMatchObject({asserted: true, packsEarlier: 0})
  expect(asked.flat().length).toBeGreaterThan(0)
  expect(read).toEqual([])
  await verify({id: FIRST})
  expect(read.length).toBe(asked.flat().length)
})
