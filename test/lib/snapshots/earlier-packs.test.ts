import {beforeEach, expect, test} from '@jest/globals'
import type {PackRecord} from '../../../src/lib/format/pack-list.js'
import {acceptEarlier, type EarlierOptions} from '../../../src/lib/snapshots/earlier-packs.js'
import type {SignedObject} from '../../../src/lib/snapshots/signing-record.js'
import {pinOf} from '../../../src/lib/store/pin.js'
import {ManualClock} from '../../support/manual-clock.js'
import {WatchedStore} from './watched-store.js'

const RUN = '20261101T000000Z-aaaaaa'
const bytes = Buffer.from('a pack')
const pack: PackRecord = {
  key: `packs/${RUN}/0-0-1`,
  length: bytes.length,
  pin: pinOf('crc32', bytes),
}
let store: WatchedStore
let signed: SignedObject[]
beforeEach(async () => {
  store = new WatchedStore(new ManualClock())
  await store.inner.put(pack.key, bytes)
  signed = [{...pack, lineage: 'l'}]
})

async function accepted(
  claim: PackRecord = pack,
  options: Partial<EarlierOptions> = {},
): Promise<boolean> {
  const record = {
    append: async () => {},
    tidy: async () => {},
    read: async () => new Map(signed.map((object) => [object.key, object])),
  }
  const given = {
    store,
    record,
    lineage: 'l',
    committed: new Set<string>(),
    unusable: new Set<string>(),
    ...options,
  }
  return (await acceptEarlier([claim], given)).length === 1
}

test('a pack that was signed here and is in the store is accepted without being read', async () => {
  expect(await accepted()).toBe(true)
  expect(store.log).toEqual([`head ${pack.key}`])
})

test('a parity object counts like a pack, and nothing else does', async () => {
  const [parity, other] = [`parity/${RUN}/0-1-1`, `index/${RUN}/0`]
  for (const key of [parity, other]) {
    await store.inner.put(key, bytes)
    signed.push({...pack, key, lineage: 'l'})
  }
  expect(await accepted({...pack, key: parity})).toBe(true)
  expect(await accepted({...pack, key: other})).toBe(false)
})

test('a pack that another machine signed is read as a whole first', async () => {
  signed = []
  expect(await accepted()).toBe(true)
  expect(store.log).toContain(`get ${pack.key}`)
})

test('a pack that was signed for another lineage is not', async () => {
  signed = [{...pack, lineage: 'other'}]
  expect(await accepted()).toBe(false)
})

test('a pack that was signed with another checksum is not', async () => {
  signed = [{...pack, pin: pinOf('crc32', Buffer.from('other')), lineage: 'l'}]
  expect(await accepted()).toBe(false)
})

test.each<[string, Partial<PackRecord>, Partial<EarlierOptions>]>([
  ['is not in the store', {key: `packs/${RUN}/0-1-1`}, {}],
  ['has another length', {length: 7}, {}],
  ['has other bytes', {pin: pinOf('crc32', Buffer.from('b pack'))}, {}],
  ['belongs to a snapshot that exists', {}, {committed: new Set([RUN])}],
  ['is missing or marked', {}, {unusable: new Set([pack.key])}],
  ['is no pack', {key: 'dumont.json'}, {}],
])('a pack that %s is not', async (_name, change, options) => {
  expect(await accepted({...pack, ...change}, options)).toBe(false)
})

test('a pack that is longer than any may be is not even looked at', async () => {
  signed = []
  expect(await accepted({...pack, length: 2 ** 40})).toBe(false)
  expect(store.log).toEqual([])
})
