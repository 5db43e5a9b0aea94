import {randomBytes} from 'node:crypto'
import {beforeEach, describe, expect, test} from '@jest/globals'
import {withNewMaster, type Keyring} from '../../../src/lib/seal/keyring.js'
import type {Protection} from '../../../src/lib/seal/store-keys.js'
import {keyedStore} from '../../../src/lib/store/keyed-store.js'
import {MemoryStore} from '../../../src/lib/store/memory-store.js'
import {createSettled} from '../../../src/lib/store/settle.js'
import type {Store} from '../../../src/lib/store/store.js'
import {ShiftedClock} from '../../support/shifted-clock.js'
import {describeStore} from '../../contracts/store-contract.js'
import {keysFor} from '../../support/store-keys.js'

const OWN = ['snapshots/20261123T140200Z-k3f7qz.json', 'instances/vast-a-1/00000000']
const PLAIN = Buffer.from('{"marker":"plain text of ours"}')

describeStore('keyed', async () => {
  const clock = new ShiftedClock()
  const store = keyedStore(new MemoryStore({clock}), keysFor('sealed'))
  return {store, clock, close: () => store.close()}
})

describe.each(['sealed', 'authenticated'] as const)('a store that is %s', (protection) => {
  let inner: MemoryStore
  let store: Store
  beforeEach(() => {
    inner = new MemoryStore({clock: new ShiftedClock()})
    store = keyedStore(inner, keysFor(protection))
  })

  describe.each(OWN)('%s', (key) => {
    test('comes back as it was put, and lies there otherwise', async () => {
      await store.put(key, PLAIN)
      expect(Buffer.from(await store.get(key))).toEqual(PLAIN)
      expect(Buffer.from(await inner.get(key))).not.toEqual(PLAIN)
    })

    test('is listed as long as it lies there', async () => {
      await store.put(key, PLAIN)
      const {length} = await inner.get(key)
      expect(await store.head(key)).toMatchObject({length})
      for await (const info of store.list(key)) expect(info.length).toBe(length)
    })

    test('may be as long as its reader bears, and no longer', async () => {
      const long = Buffer.from(`{"long":"${'x'.repeat(10_000)}"}`)
      await store.put(key, long)
      expect(await store.get(key, {limit: long.length})).toHaveLength(long.length)
      await expect(store.get(key, {limit: long.length - 1})).rejects.toMatchObject({
        code: 'INTEGRITY',
      })
    })

    test('is never read in part', async () => {
      await store.put(key, PLAIN)
      await expect(store.get(key, {range: [0, 1]})).rejects.toThrow(RangeError)
    })

    test('settles by its plain bytes', async () => {
      await store.put(key, PLAIN)
      expect(await createSettled(store, key, PLAIN)).toBe('same')
      expect(await createSettled(store, key, Buffer.from('{"other":1}'))).toBe('different')
    })

    test('is refused with its name when anybody else wrote it', async () => {
      await inner.put(key, PLAIN)
      await expect(store.get(key)).rejects.toMatchObject({
        code: 'INTEGRITY',
        message: expect.stringContaining(key) as unknown,
      })
    })

    test('is refused with its name when another’s keys wrote it', async () => {
      await keyedStore(inner, keysFor(protection, otherRing())).put(key, PLAIN)
      await expect(store.get(key)).rejects.toMatchObject({
        code: 'INTEGRITY',
        message: expect.stringContaining(key) as unknown,
      })
    })

    test('is refused under another name', async () => {
      await store.put(key, PLAIN)
      const moved = key.replace(/.(?=\.json$|$)/, '7')
      await inner.put(moved, await inner.get(key))
      await expect(store.get(moved)).rejects.toMatchObject({code: 'INTEGRITY'})
    })

    test('is refused after any byte of it changed', async () => {
      await store.put(key, PLAIN)
      const stored = Buffer.from(await inner.get(key))
      for (let at = 0; at < stored.length; at += 1) {
        const flipped = Buffer.from(stored)
        flipped.writeUInt8(flipped.readUInt8(at) ^ 1, at)
        await inner.put(key, flipped, {onlyIfAbsent: false})
        await expect(store.get(key)).rejects.toMatchObject({
          code: expect.stringMatching(/^(?:INTEGRITY|FORMAT_NEWER)$/) as unknown,
        })
      }
    })
  })

  test.each(['dumont.json', 'gc/a.json', 'index/x/0', 'keys/a.json', 'packs/x/0-0-1'])(
    '%s passes as it is',
    async (key) => {
      await store.put(key, PLAIN)
      expect(Buffer.from(await inner.get(key))).toEqual(PLAIN)
      expect(await store.get(key, {range: [0, 3]})).toHaveLength(4)
    },
  )
})

test.each([
  ['sealed', 'authenticated'],
  ['authenticated', 'sealed'],
] as const)('what is %s is refused where it must be %s', async (written, read: Protection) => {
  const inner = new MemoryStore({clock: new ShiftedClock()})
  const [key = ''] = OWN
  await keyedStore(inner, keysFor(written)).put(key, PLAIN)
  await expect(keyedStore(inner, keysFor(read)).get(key)).rejects.toMatchObject({
    code: 'INTEGRITY',
  })
})

function otherRing(): Keyring {
  const fresh = withNewMaster(
    {repository: '00112233445566778899aabbccddeeff', masters: []},
    '2026-11-23T14:02:00Z',
    randomBytes,
  )
  if (!fresh) throw new Error('no keyring')
  return fresh
}
