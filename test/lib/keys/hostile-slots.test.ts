import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {readSlots} from '../../../src/lib/keys/slots.js'
import {triable, unlock} from '../../../src/lib/keys/unlock.js'
import type {Store} from '../../../src/lib/store/store.js'
import {KeyWorld} from './key-world.js'

let world: KeyWorld

beforeEach(async () => {
  world = await KeyWorld.open()
})
afterEach(() => world.close())

const name = (number: number) => `keys/${number.toString(16).padStart(16, '0')}.json`

describe('slots that somebody else put into the bucket', () => {
  test('of another store are named and not counted', async () => {
    const {repository} = await world.begin()
    const [own] = await world.names('keys/')
    const bytes = await world.store.get(own ?? '')
    const strange = Buffer.from(bytes)
      .toString()
      .replace(repository?.id ?? '', 'a'.repeat(32))
      .replace(/"slot":"\w+"/, `"slot":"${'b'.repeat(16)}"`)
    await world.store.put(`keys/${'b'.repeat(16)}.json`, Buffer.from(strange))
    const {slots, unusable} = await readSlots(world.store, repository?.id ?? '')
    expect(slots).toHaveLength(1)
    expect(unusable).toEqual([{reason: 'of another store', slot: 'b'.repeat(16)}])
    await expect(world.read()).resolves.toHaveProperty('unlocked')
  })

  test('that are copies under another name do not count twice', async () => {
    const {repository} = await world.begin()
    const [own] = await world.names('keys/')
    await world.store.put(name(1), await world.store.get(own ?? ''))
    const {slots, unusable} = await readSlots(world.store, repository?.id ?? '')
    expect(slots).toHaveLength(1)
    expect(unusable).toEqual([
      {reason: expect.stringContaining('a copy of slot'), slot: name(1).slice(5, 21)},
    ])
  })

  test('by the thousand are read up to the sixty-fourth', async () => {
    const read: string[] = []
    let listed = 0
    const store = {
      url: 'memory:',
      async *list() {
        for (let number = 0; number < 10_000; number += 1) {
          listed += 1
          yield {key: name(number), length: 10, modified: 0}
        }
      },
      async get(key: string) {
        read.push(key)
        return Buffer.from('{}')
      },
    } as unknown as Store
    const {isCut, slots, unusable} = await readSlots(store, 'a'.repeat(32))
    expect([slots.length, unusable.length, isCut, read.length]).toEqual([0, 64, true, 64])
    expect(listed).toBeLessThan(100)
  })

  test('of a gigabyte are not fetched', async () => {
    const store = {
      async *list() {
        yield {key: name(1), length: 2 ** 30, modified: 0}
      },
      get: () => Promise.reject(new Error('fetched')),
    } as unknown as Store
    expect(await readSlots(store, 'a'.repeat(32))).toMatchObject({
      slots: [],
      unusable: [{reason: 'too large'}],
    })
  })

  test('with costly passphrases are tried eight at most, the cheapest first', async () => {
    const {repository} = await world.begin()
    const [own] = await world.names('keys/')
    const file = JSON.parse(Buffer.from(await world.store.get(own ?? '')).toString()) as object
    const salt = Buffer.alloc(32).toString('base64')
    const slots = Array.from({length: 20}, (_, number) => ({
      ...file,
      slot: name(number).slice(5, 21),
      kind: 'passphrase' as const,
      kdf: {name: 'scrypt', n: number === 19 ? 2 ** 14 : 2 ** 15, r: 1, p: 1, salt},
    }))
    for (const [number, slot] of slots.entries())
      await world.store.put(name(number), Buffer.from(JSON.stringify(slot)))
    const list = await readSlots(world.store, repository?.id ?? '')
    const tried = triable(list.slots, {kind: 'passphrase', text: 'x'})
    expect(tried).toHaveLength(8)
    expect(tried[0]?.slot).toBe(name(19).slice(5, 21))
    expect(triable(list.slots, {kind: 'drawn', bytes: new Uint8Array(32)})).toHaveLength(1)
  })

  test('none of which is ours are not asked about', async () => {
    const {repository} = await world.begin()
    await world.store.remove(await world.names('keys/'))
    const ask = () => Promise.reject(new Error('asked'))
    const place = {ask, directory: '/none'}
    const of = {repository: repository?.id ?? '', url: 'memory:'}
    const list = await readSlots(world.store, of.repository)
    await expect(unlock(list, place, of)).rejects.toMatchObject({
      code: 'KEY',
      message: expect.stringContaining('no key slot'),
    })
  })

  test('are not taken for slots when they are named otherwise', async () => {
    const {repository} = await world.begin()
    for (const key of ['keys/x.json', 'keys/README', `keys/${'A'.repeat(16)}.json`])
      await world.store.put(key, Buffer.from('x'))
    expect(await readSlots(world.store, repository?.id ?? '')).toMatchObject({
      slots: [expect.anything()],
      unusable: [],
    })
  })
})
