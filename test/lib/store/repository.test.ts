import {describe, expect, test} from '@jest/globals'
import {MemoryStore} from '../../../src/lib/store/memory-store.js'
import {openRepository} from '../../../src/lib/store/repository.js'
import {ShiftedClock} from '../../support/shifted-clock.js'

const whole = {
  format: 1,
  id: '0123456789abcdef0123456789abcdef',
  created: '2026-11-23T14:02:00.000Z',
  pin: 'md5',
}

async function storeWith(objects: Readonly<Record<string, string>>) {
  const store = new MemoryStore({clock: new ShiftedClock()})
  for (const [key, value] of Object.entries(objects)) await store.put(key, Buffer.from(value))
  return store
}

describe('a repository', () => {
  test('is what dumont.json says', async () => {
    const store = await storeWith({'dumont.json': JSON.stringify({...whole, later: 'ignored'})})
    const {format: _, ...rest} = whole
    expect(await openRepository(store, {create: true})).toEqual({...rest, isNew: false, notes: []})
  })

  test.each(['sealed', 'authenticated'])('may be %s', async (protection) => {
    const store = await storeWith({'dumont.json': JSON.stringify({...whole, protection})})
    expect(await openRepository(store, {create: true})).toMatchObject({protection})
  })

  test.each(['quantum', '', null, 1, {}])(
    'protected by %j needs another dumont',
    async (protection) => {
      const store = await storeWith({'dumont.json': JSON.stringify({...whole, protection})})
      await expect(openRepository(store, {create: true})).rejects.toMatchObject({
        code: 'FORMAT_NEWER',
        hint: 'update dumont',
      })
    },
  )

  test('with keys exists only after what opens it', async () => {
    const store = await storeWith({})
    const prepare = async (id: string) => {
      expect(await store.head('dumont.json')).toBeUndefined()
      await store.put(`keys/${id}.json`, Buffer.from('x'))
    }
    const founding = {prepare, protection: 'sealed'} as const
    const {id, isNew} = await openRepository(store, {create: true, founding})
    expect(isNew).toBe(true)
    expect(await openRepository(store, {create: false})).toMatchObject({id, protection: 'sealed'})
    expect(await store.head(`keys/${id}.json`)).toBeDefined()
    await store.close()
  })

  test('does not begin when what opens it cannot be put in place', async () => {
    const store = await storeWith({})
    const prepare = () => Promise.reject(new Error('disk full'))
    const founding = {prepare, protection: 'sealed'} as const
    await expect(openRepository(store, {create: true, founding})).rejects.toThrow('disk full')
    expect(await store.head('dumont.json')).toBeUndefined()
    await store.close()
  })

  test('of a newer format is refused with both versions named', async () => {
    const store = await storeWith({'dumont.json': JSON.stringify({format: 7, other: 'things'})})
    await expect(openRepository(store, {create: false})).rejects.toMatchObject({
      code: 'FORMAT_NEWER',
      message: expect.stringMatching(/format 7.*format 1/),
      hint: 'update dumont',
    })
  })

  test.each([
    ['nothing', ''],
    ['no JSON', '{"format": 1'],
    ['a list', '[1]'],
    ['null', 'null'],
    ['no format', JSON.stringify({...whole, format: undefined})],
    ['a format of 0', JSON.stringify({...whole, format: 0})],
    ['a short id', JSON.stringify({...whole, id: 'abc'})],
    ['an unknown pin', JSON.stringify({...whole, pin: 'sha1'})],
    ['no time', JSON.stringify({...whole, created: 'yesterday-ish'})],
    ['too much', JSON.stringify({...whole, pad: 'x'.repeat(70_000)})],
  ])('with %s in its place is damage, and is not written over', async (_, content) => {
    const store = await storeWith({'dumont.json': content})
    await expect(openRepository(store, {create: true})).rejects.toMatchObject({code: 'INTEGRITY'})
    expect(Buffer.from(await store.get('dumont.json')).toString()).toBe(content)
  })

  test('is not given a new identity while snapshots lie there', async () => {
    const store = await storeWith({'snapshots/20261123T140200Z-k3f9qz.json': '{}'})
    await expect(openRepository(store, {create: true})).rejects.toMatchObject({code: 'INTEGRITY'})
    expect(await store.head('dumont.json')).toBeUndefined()
  })

  test('is not mistaken for another object that begins like it', async () => {
    const store = await storeWith({'dumont.json.bak': JSON.stringify(whole)})
    expect(await openRepository(store, {create: false})).toBeUndefined()
  })

  test('cannot make a terminal do things through a damaged dumont.json', async () => {
    const store = await storeWith({'dumont.json': '\u001B]0;owned\u0007'})
    const failure = await openRepository(store, {create: false}).catch(
      (error: Error) => error.message,
    )
    expect(failure).toContain('owned')
    expect(failure).not.toContain('\u001B')
  })

  test('is not created by a first use that was interrupted, which leaves nothing', async () => {
    const store = await storeWith({})
    const stop = new AbortController()
    const put = store.put.bind(store)
    store.put = (key, body, options, signal) => {
      stop.abort()
      return put(key, body, options, signal)
    }
    await expect(openRepository(store, {create: true}, stop.signal)).rejects.toMatchObject({
      code: 'INTERRUPTED',
    })
    for await (const {key} of store.list('')) throw new Error(`left ${key}`)
    await store.close()
  })
})
