import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import type {ParityGroup} from '../../../src/lib/format/group-list.js'
import {deleteSnapshots} from '../../../src/lib/snapshots/delete-snapshot.js'
import {readManifest} from '../../../src/lib/snapshots/manifests.js'
import {neededObjects} from '../../../src/lib/snapshots/needed-objects.js'
import {pruneSnapshots} from '../../../src/lib/snapshots/prune-snapshots.js'
import {sweepDueMarks} from '../../../src/lib/snapshots/removal.js'
import {readGroups} from '../../../src/lib/snapshots/stored-index.js'
import type {MessageOf} from '../../../src/lib/worker/protocol.js'
import {benchTop, type BenchTop} from './bench-top.js'

const HOUR = 3_600_000
let bench: BenchTop
beforeEach(async () => {
  bench = await benchTop()
})
afterEach(() => bench.remove())

const manifestOf = async (id: string | undefined) =>
  (await readManifest(bench.store, id ?? '')).manifest
const groupsOf = async (id: string | undefined) => readGroups(bench.store, await manifestOf(id))
const keysBelow = (folder: string) => bench.store.keysBelow(folder)

describe('a snapshot with parity', () => {
  test('names its groups, and says what they take', async () => {
    const {id, parity} = await bench.create({parity: 2})
    // One pack, one segment and the list of packs, each in a group of its own.
    expect(parity).toMatchObject({groups: 3, kept: 0, unprotected: 0})
    const groups = await groupsOf(id)
    const written = groups.flatMap((group) => group.parity)
    expect(written.map(({key}) => key).toSorted()).toEqual(await keysBelow('parity/'))
    const bytes = written.reduce((sum, {length}) => sum + length, 0)
    expect(parity?.bytes).toBe(bytes)
    expect((await manifestOf(id)).bytes.parity).toBe(bytes)
  })

  test('is committed only after every object of its groups was seen', async () => {
    const {id} = await bench.create({parity: 1})
    const {log} = bench.store
    const commit = log.indexOf(`put snapshots/${id}.json`)
    const keys = await keysBelow('parity/')
    expect(keys).toHaveLength(3)
    for (const key of [...keys, `index/${id}/groups`]) {
      expect(log.indexOf(`put ${key}`)).toBeLessThan(log.indexOf(`head ${key}`))
      expect(log.indexOf(`head ${key}`)).toBeLessThan(commit)
    }
  })

  test('has none unless it is asked for', async () => {
    const {id, parity} = await bench.create()
    expect(parity).toBeUndefined()
    const {bytes, index} = await manifestOf(id)
    expect([bytes.parity, index.groups]).toEqual([undefined, undefined])
  })

  test('keeps the groups of its parent, and makes new ones for what is new', async () => {
    const first = await bench.create({parity: 2})
    bench.bends.files = {a: 'apple', c: 'cherry'}
    const second = await bench.create({parity: 1})
    expect(second.parity).toMatchObject({groups: 4, kept: 1, unprotected: 0})
    const [kept] = await groupsOf(first.id)
    const members = (await groupsOf(second.id)).flatMap((group) => group.members)
    expect(members).toContainEqual(kept?.members[0])
  })

  test('tells of packs that an earlier one stored without', async () => {
    await bench.create()
    bench.bends.files = {a: 'apple', c: 'cherry'}
    expect((await bench.create({parity: 1})).parity).toMatchObject({kept: 0, unprotected: 1})
  })

  test('does not keep a group of which something is gone, and says so', async () => {
    const first = await bench.create({parity: 1})
    const [group] = await groupsOf(first.id)
    await bench.store.inner.remove([group?.parity[0]?.key ?? ''])
    const second = await bench.create({parity: 1})
    expect(second.parity).toMatchObject({kept: 0, unprotected: 1})
  })

  test('does without what its parent lists damaged', async () => {
    const first = await bench.create({parity: 1})
    const key = `index/${first.id}/groups`
    const length = (await bench.store.get(key)).length
    await bench.store.inner.remove([key])
    await bench.store.inner.put(key, new Uint8Array(length))
    const second = await bench.create({parity: 1})
    expect(second.parity).toMatchObject({kept: 0, unprotected: 1})
    expect(bench.notes().join()).toMatch(/parity of .* is not kept/)
  })

  test.each(['is marked for removal', 'is missing'])(
    'stores again what it is made of when a parity object %s before the commit',
    async (what) => {
      let spoilt = ''
      bench.bends.upload = async (key, _bytes, put) => {
        if (spoilt === '' && key.startsWith('parity/')) {
          spoilt = key
          if (what === 'is missing') return
          const created = new Date(bench.clock.now()).toISOString()
          const mark = {format: 1, created, keys: [key]}
          await bench.store.inner.put('gc/x.json', Buffer.from(JSON.stringify(mark)))
        }
        await put()
      }
      const {id} = await bench.create({parity: 1})
      const needed = await neededObjects(bench.store, await manifestOf(id))
      expect(spoilt).not.toBe('')
      expect(needed.map(({key}) => key)).not.toContain(spoilt)
      expect(bench.notes().join()).toMatch(/stored again/)
    },
  )
})

describe('a worker that lies about parity', () => {
  const lying = (change: (group: ParityGroup) => unknown) => {
    bench.bends.groups = (groups) => groups.map(change)
    return bench.create({parity: 2})
  }
  const alien = {key: 'packs/20200101T000000Z-aaaaaa/0-0-1', length: 1}

  test('with a member that it had no right to name is refused', async () => {
    await expect(
      lying(({members, parity}) => ({
        members: members.map((one) => ({...one, key: alien.key})),
        parity,
      })),
    ).rejects.toMatchObject({code: expect.stringMatching(/WORKER|INTEGRITY/)})
    expect(await keysBelow('snapshots/')).toEqual([])
  })

  test.each<[string, (group: ParityGroup) => unknown]>([
    ['fewer of it', ({members, parity}) => ({members, parity: parity.slice(1)})],
    [
      'another checksum',
      ({members, parity}) => ({
        members: members.map((one) => ({...one, pin: {kind: 'crc32', value: 'AAAAAA=='}})),
        parity,
      }),
    ],
    [
      'objects of nobody',
      ({members, parity}) => ({
        members,
        parity: parity.map((one, n) => ({...one, key: `parity/20200101T000000Z-aaaaaa/0-${n}-1`})),
      }),
    ],
  ])('with %s is refused', async (_, change) => {
    const onlyFirst = (group: ParityGroup, number: number) => (number === 0 ? change(group) : group)
    bench.bends.groups = (groups) => groups.map(onlyFirst)
    await expect(bench.create({parity: 2})).rejects.toMatchObject({code: 'WORKER'})
    expect(await keysBelow('snapshots/')).toEqual([])
  })

  const signing = (objects: MessageOf<'sign'>['objects']) => {
    bench.bends.onCreate = async (worker) => void (await worker.sign(objects))
  }
  const pin = {kind: 'crc32', value: 'AAAAAA=='} as const

  test('gets no URL for parity that nobody asked for', async () => {
    signing([
      {kind: 'pack', part: 0, length: 10, pin},
      {kind: 'parity', part: 0, length: 10, pin},
    ])
    await expect(bench.create()).rejects.toMatchObject({
      code: 'WORKER',
      message: expect.stringContaining('more parity'),
    })
  })

  test('gets no URL for more than its members could make', async () => {
    signing([
      {kind: 'pack', part: 0, length: 10, pin},
      {kind: 'parity', part: 0, length: 10, pin},
      {kind: 'parity', part: 0, length: 11, pin},
    ])
    await expect(bench.create({parity: 2})).rejects.toMatchObject({code: 'WORKER'})
  })
})

describe('what a snapshot with parity needs', () => {
  const remove = (...ids: (string | undefined)[]) =>
    deleteSnapshots(
      {snapshots: ids.map((id) => id ?? '?'), confirm: async () => true},
      bench.service,
    )

  test('is marked when it is deleted, and swept an hour later', async () => {
    const {id} = await bench.create({parity: 2})
    // A pack, two index objects, the list of groups, and two parity objects of each member.
    expect(await remove(id)).toMatchObject({objects: 10})
    await bench.clock.advance(HOUR)
    await sweepDueMarks(bench.store)
    for (const folder of ['parity/', 'packs/', 'index/'])
      expect(await keysBelow(folder)).toEqual([])
  })

  test('stays while a child keeps the group, though the child names only some of it', async () => {
    const first = await bench.create({parity: 1})
    bench.bends.files = {a: 'apple', c: 'cherry'}
    const second = await bench.create({parity: 1})
    const [kept] = await groupsOf(first.id)
    await remove(first.id)
    await bench.clock.advance(HOUR)
    await sweepDueMarks(bench.store)
    const left = [...(await keysBelow('parity/')), ...(await keysBelow('packs/'))]
    expect(left).toEqual(expect.arrayContaining([kept?.members[0]?.key, kept?.parity[0]?.key]))
    const needed = await neededObjects(bench.store, await manifestOf(second.id))
    const there = new Set(await keysBelow(''))
    expect(needed.filter(({key}) => !there.has(key))).toEqual([])
  })

  test('is found as nobody’s a day after its create was cut off', async () => {
    const kept = await bench.create({parity: 1})
    bench.bends.files = {z: 'zebra'}
    bench.bends.onCreate = async (worker, request) => {
      const bytes = Buffer.from('left behind')
      const {pinOf} = await import('../../../src/lib/store/pin.js')
      const wanted = {part: 0, length: bytes.length, pin: pinOf('crc32', bytes)}
      const keys = await worker.sign([
        {kind: 'pack', ...wanted},
        {kind: 'parity', ...wanted},
      ])
      for (const key of keys) await bench.store.put(key, bytes)
      worker.say({type: 'error', to: 1, code: 'WORKER', message: request.snapshot})
    }
    await expect(bench.create({parity: 1})).rejects.toMatchObject({code: 'WORKER'})
    delete bench.bends.onCreate
    await bench.clock.advance(25 * HOUR)
    const other = await bench.create({name: 'other', parity: 1})
    expect(await remove(other.id)).toMatchObject({deleted: [other.id]})
    await bench.clock.advance(HOUR)
    await sweepDueMarks(bench.store)
    expect((await keysBelow('parity/')).every((key) => key.includes(kept.id ?? '?'))).toBe(true)
  })

  test('counts when prune says what it frees', async () => {
    await bench.create({parity: 2})
    bench.bends.files = {a: 'apricot', b: 'blueberry'}
    await bench.create()
    const asked = {held: new Map(), dryRun: true, confirm: async () => true, rules: {last: 1}}
    const {freed} = await pruneSnapshots(asked, bench.service)
    const parity = (await keysBelow('parity/')).length
    expect(parity).toBe(6)
    // The pack and its two copies, and those of the two index objects.
    expect(freed).toBeGreaterThan(3 * 123)
  })

  test('cannot be known when its list of groups is damaged, and then nothing is removed', async () => {
    const first = await bench.create({parity: 1})
    const second = await bench.create({name: 'other'})
    await bench.store.inner.remove([`index/${first.id}/groups`])
    expect(await remove(second.id)).toMatchObject({objects: 0})
    const told = bench.events.flatMap((event) => (event.kind === 'warning' ? [event.message] : []))
    expect(told.join()).toContain(`index/${first.id}/groups`)
  })
})
