import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {DumontError} from '../../../src/lib/errors.js'
import {manifestKey} from '../../../src/lib/format/manifest.js'
import {deleteSnapshots} from '../../../src/lib/snapshots/delete-snapshot.js'
import {readManifest} from '../../../src/lib/snapshots/manifests.js'
import {sweepDueMarks} from '../../../src/lib/snapshots/removal.js'
import {verifySnapshot} from '../../../src/lib/snapshots/verify-snapshot.js'
import {manifestOf, object, packsOf, snapshots as golden} from '../format/golden.js'
import {benchTop, type BenchTop} from './bench-top.js'

const HOUR = 3_600_000
let bench: BenchTop
beforeEach(async () => {
  bench = await benchTop()
})
afterEach(() => bench.remove())

const remove = (...snapshots: (string | undefined)[]) =>
  deleteSnapshots(
    {snapshots: snapshots.map((id) => id ?? '?'), confirm: async () => true},
    bench.service,
  )
const marks = () => bench.store.keysBelow('gc/')
const packs = () => bench.store.keysBelow('packs/')

async function isWhole(id: string | undefined): Promise<boolean> {
  const {manifest} = await readManifest(bench.store, id ?? '')
  const {damaged} = await verifySnapshot(bench.service, {level: 'listed', manifest, sample: 1})
  return damaged.length === 0
}

async function twoSnapshots(): Promise<[string | undefined, string | undefined]> {
  const first = await bench.create()
  bench.bends.files = {b: 'banana', c: 'cherry'}
  const second = await bench.create()
  return [first.id, second.id]
}

describe('a deletion', () => {
  test('takes the manifest first and only marks the rest', async () => {
    const {id} = await bench.create()
    const before = await packs()
    const {log} = bench.store
    log.length = 0
    const result = await remove(id)
    expect(result).toMatchObject({deleted: [id], objects: 3, freeAfter: bench.clock.now() + HOUR})
    expect(result.bytes).toBeGreaterThan(123)
    expect(await packs()).toEqual(before)
    const markAt = log.findIndex((line) => line.startsWith('put gc/'))
    expect(log.indexOf(`remove snapshots/${id}.json`)).toBeLessThan(markAt)
  })

  test('asks first and does nothing when the answer is no', async () => {
    const {id = ''} = await bench.create()
    const request = {snapshots: [id], confirm: async () => false}
    await expect(deleteSnapshots(request, bench.service)).rejects.toMatchObject({
      code: 'INTERRUPTED',
    })
    expect(await isWhole(id)).toBe(true)
  })

  test('of one unknown snapshot deletes none of the others', async () => {
    const {id} = await bench.create()
    await expect(remove(id, '2020')).rejects.toMatchObject({code: 'SNAPSHOT_UNKNOWN'})
    expect(await isWhole(id)).toBe(true)
  })

  test('leaves what another snapshot needs', async () => {
    const [first, second] = await twoSnapshots()
    await remove(first)
    await bench.clock.advance(HOUR)
    expect(await sweepDueMarks(bench.store)).toEqual({objects: 2, marks: 1})
    expect(await isWhole(second)).toBe(true)
  })

  test('leaves the chunks that another snapshot differs from, though no file has them any more', async () => {
    const [first = '', second = '', third = ''] = golden
    const keys = new Set(golden.map(manifestKey))
    for (const snapshot of golden) {
      const {index} = manifestOf(snapshot)
      for (const {key} of [...index.segments, index.packs]) keys.add(key)
      for (const {key} of await packsOf(snapshot)) keys.add(key)
    }
    for (const key of keys) await bench.store.inner.put(key, object(key))
    await remove(first, second)
    await bench.clock.advance(HOUR)
    expect(await sweepDueMarks(bench.store)).toMatchObject({marks: 1})
    expect(await bench.store.keysBelow('index/')).toEqual([
      `index/${third}/0`,
      `index/${third}/packs`,
    ])
    expect(await isWhole(third)).toBe(true)
    await remove(third)
    await bench.clock.advance(HOUR)
    await sweepDueMarks(bench.store)
    expect(await packs()).toEqual([])
  })

  test('of the newest is not taken for a store that was set back', async () => {
    const [, second] = await twoSnapshots()
    await remove(second)
    await expect(bench.create()).resolves.toMatchObject({sequence: 2})
  })

  test('of a damaged snapshot is possible', async () => {
    const {id} = await bench.create()
    await bench.store.inner.put(`snapshots/${id}.json`, Buffer.from('{'), {onlyIfAbsent: false})
    expect(await remove(id)).toMatchObject({deleted: [id], objects: 0})
    await bench.clock.advance(25 * HOUR)
    await bench.create({acceptRollback: true})
  })

  test('frees nothing while another snapshot cannot be read', async () => {
    const [first, second] = await twoSnapshots()
    await bench.store.inner.put(`snapshots/${second}.json`, Buffer.from('{'), {onlyIfAbsent: false})
    expect(await remove(first)).toMatchObject({objects: 0})
    expect(await marks()).toEqual([])
    expect(bench.events).toContainEqual(expect.objectContaining({kind: 'warning', code: 'sweep'}))
  })

  test('takes along what nobody has named for a day', async () => {
    const {id} = await bench.create()
    await bench.store.inner.put('packs/20261101T000000Z-aaaaaa/0-0-1', Buffer.from('left over'))
    expect(await remove(id)).toMatchObject({objects: 3})
    const {id: next} = await bench.create({acceptRollback: true})
    await bench.clock.advance(25 * HOUR)
    expect(await remove(next)).toMatchObject({objects: expect.any(Number)})
    await bench.clock.advance(HOUR)
    await sweepDueMarks(bench.store)
    expect(await packs()).toEqual([])
  })

  test('never marks what is no pack and no index', async () => {
    const {id} = await bench.create()
    await bench.store.inner.put('packs/notes.txt', Buffer.from('mine'))
    await bench.clock.advance(25 * HOUR)
    await remove(id)
    await bench.clock.advance(HOUR)
    await sweepDueMarks(bench.store)
    expect(await packs()).toEqual(['packs/notes.txt'])
  })
})

describe('a sweep', () => {
  test('waits a full hour by the store’s clock', async () => {
    const {id} = await bench.create()
    await remove(id)
    await bench.clock.advance(HOUR - 1)
    expect(await sweepDueMarks(bench.store)).toEqual({objects: 0, marks: 0})
    await bench.clock.advance(1)
    expect(await sweepDueMarks(bench.store)).toEqual({objects: 3, marks: 1})
    expect(await bench.store.keysBelow()).toEqual(['dumont.json'])
  })

  test('believes when a mark was stored rather than what it says', async () => {
    const {id} = await bench.create()
    const body = {format: 1, created: '2020-01-01T00:00:00Z', keys: await packs()}
    await bench.store.inner.put('gc/x.json', Buffer.from(JSON.stringify(body)))
    await bench.store.inner.remove([`snapshots/${id}.json`])
    expect(await sweepDueMarks(bench.store)).toEqual({objects: 0, marks: 0})
  })

  test.each([
    ['a manifest', 'snapshots/20261123T140200Z-aaaaaa.json'],
    ['the repository', 'dumont.json'],
    ['another mark', 'gc/y.json'],
    ['a way out', 'packs/../dumont.json'],
  ])('ignores a mark on %s', async (_name, key) => {
    const {id} = await bench.create()
    const body = {format: 1, created: new Date(bench.clock.now()).toISOString(), keys: [key]}
    await bench.store.inner.put('gc/x.json', Buffer.from(JSON.stringify(body)))
    await bench.clock.advance(2 * HOUR)
    const before = await bench.store.keysBelow()
    expect(await sweepDueMarks(bench.store)).toEqual({objects: 0, marks: 0})
    expect(await bench.store.keysBelow()).toEqual(before)
    expect(await isWhole(id)).toBe(true)
  })

  test('removes nothing while a snapshot cannot be read', async () => {
    const [first, second] = await twoSnapshots()
    await remove(first)
    await bench.store.inner.put(`snapshots/${second}.json`, Buffer.from('{"format": 7}'), {
      onlyIfAbsent: false,
    })
    await bench.clock.advance(2 * HOUR)
    const before = await packs()
    await expect(sweepDueMarks(bench.store)).rejects.toMatchObject({code: 'FORMAT_NEWER'})
    expect(await packs()).toEqual(before)
  })

  test('leaves marks of a later format alone and says so', async () => {
    await bench.store.inner.put('gc/x.json', Buffer.from('{"format": 2}'))
    await expect(sweepDueMarks(bench.store)).rejects.toMatchObject({code: 'FORMAT_NEWER'})
  })
})

describe('a deletion beside a create', () => {
  /** Deletes the parent as soon as the create does this operation for the n-th time. */
  function deleteParentAt(
    parent: string | undefined,
    operation: string,
    prefix: string,
    sweep = false,
  ): void {
    let done = false
    bench.store.before = async (what, key) => {
      if (done || what !== operation || !key.startsWith(prefix)) return
      if (!bench.workers.at(-1)?.heard.some(({type}) => type === 'create')) return
      done = true
      await remove(parent)
      if (!sweep) return
      await leap(HOUR)
      await sweepDueMarks(bench.store)
    }
  }

  /** An hour in which the worker was alive. */
  async function leap(milliseconds: number): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += 30_000) {
      bench.workers.at(-1)?.say({type: 'heartbeat'})
      await bench.clock.advance(30_000)
    }
  }

  test.each([
    ['before its index is stored', 'put', 'index/', false],
    ['before its packs are looked for', 'list', 'packs/', false],
    ['after its look at the marks', 'head', 'packs/', false],
    ['and a sweep an hour later, before its index is stored', 'put', 'index/', true],
    ['and a sweep an hour later, before its packs are looked for', 'list', 'packs/', true],
  ])('of its parent %s harms neither', async (_name, operation, prefix, sweep) => {
    const {id} = await bench.create()
    bench.bends.files = {a: 'apple', c: 'cherry'}
    deleteParentAt(id, operation, prefix, sweep)
    const second = await bench.create()
    await bench.clock.advance(2 * HOUR)
    await sweepDueMarks(bench.store)
    expect(await isWhole(second.id)).toBe(true)
  })

  test('of its parent right before its commit leaves its packs in place for ever', async () => {
    const {id} = await bench.create()
    bench.bends.files = {a: 'apple', c: 'cherry'}
    deleteParentAt(id, 'put', 'snapshots/')
    const second = await bench.create()
    expect(await marks()).toHaveLength(1)
    await bench.clock.advance(2 * HOUR)
    await sweepDueMarks(bench.store)
    expect(await marks()).toEqual([])
    expect(await isWhole(second.id)).toBe(true)
  })
})

test('what a lock kept is still there, and what is gone is no rollback afterwards', async () => {
  const first = await bench.create()
  bench.bends.files = {x: 'xylophone'}
  const second = await bench.create()
  const key = manifestKey(second.id ?? '')
  const inner = bench.store.remove.bind(bench.store)
  // A store whose lock keeps the first, and that removes everything else.
  bench.store.remove = async (keys, signal) => {
    await inner(
      keys.filter((one) => one === key),
      signal,
    )
    throw new DumontError('ACCESS_DENIED', 'a lock of the bucket keeps it')
  }
  await expect(remove(first.id, second.id)).rejects.toMatchObject({code: 'ACCESS_DENIED'})
  bench.store.remove = inner
  expect(await isWhole(first.id)).toBe(true)
  await expect(bench.create()).resolves.toMatchObject({lineage: first.lineage})
})
