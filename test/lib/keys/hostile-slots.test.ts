import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {readSlots} from '../../../src/lib/keys/slots.js'
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
