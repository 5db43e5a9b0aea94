import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {randomBytes} from 'node:crypto'
import {rm} from 'node:fs/promises'
import {checkKeys} from '../../../src/lib/checkup/check-keys.js'
import {addSlot} from '../../../src/lib/keys/add-slot.js'
import {coldUnlock} from '../../../src/lib/keys/cold-unlock.js'
import {openKeyedStore} from '../../../src/lib/keys/open-keyed.js'
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

  test('by the thousand are read up to the sixty-fourth, and none more than twice', async () => {
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
    expect([slots.length, unusable.length, isCut, read.length]).toEqual([0, 64, true, 128])
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
    await expect(unlock(list, place, {...of, again: async () => list})).rejects.toMatchObject({
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

describe('a slot that was altered on its way', () => {
  /** The store, as it answers when so many readings of a slot are altered. */
  const altering = (times: number, alter: (text: string) => string): Store => {
    let left = times
    return new Proxy(world.store, {
      get(target, member) {
        const value: unknown = Reflect.get(target, member)
        if (typeof value !== 'function') return value
        if (member !== 'get') return value.bind(target) as unknown
        return async (key: string) => {
          const bytes = await target.get(key)
          if (!key.startsWith('keys/') || left === 0) return bytes
          left -= 1
          return Buffer.from(alter(Buffer.from(bytes).toString()))
        }
      },
    })
  }
  const other = (digit: string) => (digit === '0' ? '1' : '0')
  const ways: readonly (readonly [string, (text: string) => string])[] = [
    ['cannot be parsed', (text) => text.replace('{', '[')],
    ['has another name', (text) => text.replace(/(?<="slot":")./, other)],
    ['seems to be of another store', (text) => text.replace(/(?<="repository":")./, other)],
    ['seems to be for another key', (text) => text.replace(/(?<="commitment":")./, other)],
    ['seems to be tampered with', (text) => text.replace(/(?<="sealed":")./, other)],
    ['was cut', (text) => text.slice(0, 100)],
  ]

  test.each(ways)('so that it %s opens when it is read once more', async (_what, alter) => {
    await world.begin()
    const {unlocked} = await openKeyedStore(altering(1, alter), world.place())
    expect(unlocked?.isOwn).toBe(true)
    if (!unlocked) throw new Error('not unlocked')
    await coldUnlock(altering(1, alter), unlocked, randomBytes)
    expect(await checkKeys(altering(1, alter), world.place())).toContainEqual(
      expect.objectContaining({state: 'good', what: 'key'}),
    )
  })

  test.each(ways)('for good so that it %s opens nothing', async (_what, alter) => {
    await world.begin()
    const always = altering(Number.POSITIVE_INFINITY, alter)
    await expect(openKeyedStore(always, world.place())).rejects.toMatchObject({
      code: expect.stringMatching(/^(?:KEY|INTEGRITY)$/),
    })
  })

  test('opens to words that were typed', async () => {
    const {repository} = await world.begin()
    const opened = await world.keys()
    await addSlot(opened, {kind: 'passphrase', text: 'open sesame'})
    await rm(world.fileOf(repository?.id ?? ''))
    const alter = (text: string) => text.replace(/(?<="commitment":")./, other)
    const ask = async () => 'open sesame'
    const {unlocked} = await openKeyedStore(altering(2, alter), world.place('laptop', {ask}))
    expect(unlocked?.what).toBe('what was typed')
  })
})
