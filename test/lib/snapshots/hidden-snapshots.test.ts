import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {manifestKey} from '../../../src/lib/format/manifest.js'
import {deleteSnapshots} from '../../../src/lib/snapshots/delete-snapshot.js'
import {listSnapshots} from '../../../src/lib/snapshots/list-snapshots.js'
import {pruneSnapshots} from '../../../src/lib/snapshots/prune-snapshots.js'
import {sweepQuietly} from '../../../src/lib/snapshots/removal.js'
import {whatToVerify} from '../../../src/lib/snapshots/what-to-verify.js'
import {benchTop, type BenchTop} from './bench-top.js'

const HOUR = 3_600_000
let bench: BenchTop
let [older, newest]: [string, string] = ['', '']
beforeEach(async () => {
  bench = await benchTop()
  older = (await bench.create()).id ?? ''
  bench.bends.files = {b: 'banana', c: 'cherry'}
  newest = (await bench.create()).id ?? ''
})
afterEach(() => bench.remove())

const confirm = async () => true
const packs = () => bench.store.keysBelow('packs/')
const hide = (id: string) => bench.store.remove([manifestKey(id)])
const prune = (more: object = {}) =>
  pruneSnapshots(
    {confirm, dryRun: false, held: new Map(), rules: {last: 1}, ...more},
    bench.service,
  )

describe('a store that hides the newest snapshot this machine has seen', () => {
  test('has nothing marked by a deletion, however old its packs are', async () => {
    await hide(newest)
    await bench.clock.advance(48 * HOUR)
    await deleteSnapshots({confirm, snapshots: [older]}, bench.service)
    expect(await bench.store.keysBelow('gc/')).toEqual([])
    expect(bench.events).toContainEqual(
      expect.objectContaining({code: 'sweep', message: expect.stringContaining(newest)}),
    )
  })

  test('has nothing swept that was marked while it was hidden from another machine', async () => {
    const mark = {
      format: 1,
      created: new Date(bench.clock.now()).toISOString(),
      keys: await packs(),
    }
    await bench.store.put('gc/00.json', Buffer.from(JSON.stringify(mark)))
    await hide(newest)
    await bench.clock.advance(2 * HOUR)
    const before = await packs()
    await sweepQuietly(bench.service)
    expect(await packs()).toEqual(before)
  })

  test('is not pruned until the operator accepts what it shows', async () => {
    await hide(newest)
    await expect(prune()).rejects.toMatchObject({
      code: 'INTEGRITY',
      hint: expect.stringContaining('--accept-rollback'),
    })
    expect(await prune({acceptRollback: true})).toMatchObject({verdicts: [{snapshot: {id: older}}]})
    expect(await prune()).toBeDefined()
  })

  test('is listed and verified with the missing one among the damaged', async () => {
    await hide(newest)
    const missing = [expect.objectContaining({id: newest})]
    expect(await listSnapshots(bench.service)).toMatchObject({unreadable: missing})
    expect(await whatToVerify(undefined, bench.service)).toMatchObject({unreadable: missing})
  })
})

test('an older snapshot that another machine deleted is missed by nobody', async () => {
  await hide(older)
  expect(await prune()).toBeDefined()
  expect(await listSnapshots(bench.service)).toMatchObject({unreadable: []})
})
