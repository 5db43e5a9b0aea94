import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {machineOf, namedMachine} from '../../../src/lib/instances/record-of.js'
import {draftFrom} from '../../../src/lib/instances/record-draft.js'
import {
  appendRecord,
  logPrefix,
  readAllRecords,
  readBack,
  readRecord,
  type Decide,
} from '../../../src/lib/instances/record-log.js'
import {encodeRecord, parseRecord} from '../../../src/lib/instances/record.js'
import {MemoryStore} from '../../../src/lib/store/memory-store.js'
import type {Store} from '../../../src/lib/store/store.js'
import {FakeVendor} from './fake-vendor.js'
import {HastyClock} from './hasty-clock.js'

const OF = {provider: 'vast', account: '4711', id: '12'}
const clock = new HastyClock()
let store: Store

beforeEach(() => {
  store = new MemoryStore({clock})
})
afterEach(() => store.close())

const say =
  (state: 'hibernated' | 'protected' | 'running'): Decide =>
  (last) => ({...draftFrom(last, last?.instance ?? namedMachine(OF)), state})
const append = (decide: Decide, of = OF) => appendRecord(store, of, {decide, owner: 'aaaa.1'})
const KEY = 'instances/vast-4711-12/00000000'

describe('the log of an instance', () => {
  test('begins with nothing', async () => {
    expect(await readRecord(store, OF)).toBeUndefined()
  })

  test('keeps every record under a number of its own and shows the last', async () => {
    await append(say('running'))
    await append(say('protected'))
    const keys: string[] = []
    for await (const {key} of store.list('instances/')) keys.push(key)
    expect(keys).toEqual([KEY, 'instances/vast-4711-12/00000001'])
    expect(await readRecord(store, OF)).toMatchObject({sequence: 1, state: 'protected'})
  })

  test('a lost race reads what the winner wrote and decides again', async () => {
    let seen: unknown[] = []
    await append(say('running'))
    const put = store.put.bind(store)
    let raced = false
    store.put = async (...given) => {
      if (!raced) {
        raced = true
        await appendRecord(store, OF, {decide: say('protected'), owner: 'bbbb.9'})
      }
      return put(...given)
    }
    await append((last) => {
      seen = [...seen, last?.state]
      return say('hibernated')(last)
    })
    expect(seen).toEqual(['running', 'protected'])
    expect(await readRecord(store, OF)).toMatchObject({
      sequence: 2,
      state: 'hibernated',
      owner: 'aaaa.1',
    })
  })

  test('writes nothing when there is nothing to say', async () => {
    await append(() => undefined)
    expect(await readRecord(store, OF)).toBeUndefined()
  })

  test('gives up while others write without an end', async () => {
    const put = store.put.bind(store)
    let number = 0
    store.put = async (key, body, ...rest) => {
      const other = Buffer.from(body)
        .toString()
        .replace('aaaa.1', `bbbb.${(number += 1)}`)
      await put(key, Buffer.from(other))
      return put(key, body, ...rest)
    }
    await expect(append(say('running'))).rejects.toMatchObject({code: 'INSTANCE_BUSY'})
  })

  test('is read back byte by byte, and only as the newest', async () => {
    const first = await append(say('running'))
    if (!first) throw new Error('nothing was written')
    await readBack(store, OF, first)
    await expect(readBack(store, OF, {...first, owner: 'cccc.1'})).rejects.toMatchObject({
      code: 'INTEGRITY',
    })
    await append(say('protected'))
    await expect(readBack(store, OF, first)).rejects.toMatchObject({code: 'INTEGRITY'})
  })

  test('refuses a record that speaks of another instance', async () => {
    const other = {...OF, id: '13'}
    await expect(append(say('running'), other)).rejects.toThrow(RangeError)
    const draft = {...draftFrom(undefined, namedMachine(other)), state: 'running' as const}
    const written = await append(() => draft, other)
    if (!written) throw new Error('nothing was written')
    await store.put(KEY, encodeRecord(written))
    await expect(readRecord(store, OF)).rejects.toMatchObject({code: 'INTEGRITY'})
  })

  test('one that is damaged does not hide the others', async () => {
    await append(say('running'))
    await store.put('instances/vast-4711-99/00000000', Buffer.from('{"format":1}'))
    const {records, unreadable} = await readAllRecords(store)
    expect(records).toHaveLength(1)
    expect(unreadable).toMatchObject([{key: 'instances/vast-4711-99/00000000'}])
  })

  test('hashes names that are no names of objects, so that two never meet', () => {
    const mail = logPrefix({provider: 'vast', account: 'a@b.c', id: '../../etc'})
    expect(mail).toMatch(/^instances\/vast-x[0-9a-f]{24}-x[0-9a-f]{24}\/$/)
    expect(logPrefix({provider: 'a', account: 'b-c', id: 'd'})).not.toBe(
      logPrefix({provider: 'a-b', account: 'c', id: 'd'}),
    )
  })
})

describe('a record', () => {
  const whole = async () => {
    const written = await append(say('running'))
    if (!written) throw new Error('nothing was written')
    return written
  }

  test('reads as it was written, names in order', async () => {
    const record = await whole()
    const bytes = encodeRecord(record)
    expect(parseRecord(bytes, KEY)).toEqual(record)
    expect(Buffer.from(bytes).toString()).toMatch(
      /^\{"at":.*"state":"running","successors":\[\]\}\n$/,
    )
  })

  test('takes nothing that is not on the list', async () => {
    const record = await whole()
    const secret = {...record, instance: {...record.instance, onstart: 'curl -H "token: x"'}}
    expect(() => encodeRecord(secret)).toThrow(RangeError)
    const text = JSON.stringify({...record, apiKey: 'x'})
    expect(() => parseRecord(Buffer.from(text), KEY)).toThrow(/apiKey|Invalid/)
  })

  test('of a later format is refused by its version', async () => {
    const text = JSON.stringify({...(await whole()), format: 2})
    expect(() => parseRecord(Buffer.from(text), KEY)).toThrow(
      expect.objectContaining({code: 'FORMAT_NEWER'}),
    )
  })

  test.each(['', 'no json', '[]', '{"format":1}', '{"format":"1"}'])('is not %j', (text) => {
    expect(() => parseRecord(Buffer.from(text), KEY)).toThrow(
      expect.objectContaining({code: 'INTEGRITY'}),
    )
  })

  test('keeps of an instance what is on the list and bounds the rest', async () => {
    const vendor = new FakeVendor(clock)
    const id = vendor.addBox()
    const seen = await vendor.provider().get(id)
    const told = {...seen, apiKey: 'secret', machine: 'm'.repeat(5000), hourly: Number.NaN}
    const machine = machineOf({provider: 'vast', account: '4711'}, told)
    expect(machine).toMatchObject({hourly: null, machine: 'm'.repeat(1024)})
    expect(JSON.stringify(machine)).not.toContain('secret')
  })
})
