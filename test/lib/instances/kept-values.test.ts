import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {hibernate} from '../../../src/lib/instances/hibernate.js'
import {refuseHeld} from '../../../src/lib/instances/held-snapshots.js'
import {listInstances} from '../../../src/lib/instances/instance-list.js'
import {readRecord, appendRecord} from '../../../src/lib/instances/record-log.js'
import type {WakeRequest} from '../../../src/lib/instances/wake-request.js'
import {wake} from '../../../src/lib/instances/wake.js'
import type {Protection} from '../../../src/lib/seal/store-keys.js'
import {keysFor} from '../../support/store-keys.js'
import {offer} from './fake-vendor.js'
import {hibernateRequest, InstanceWorld, wakeRequest} from './instance-world.js'

const SECRET = 'hf_very_secret'

let world: InstanceWorld
let id: string

async function begin(protection?: Protection): Promise<void> {
  world = await new InstanceWorld(protection && keysFor(protection)).open()
  world.vendor.values = {HF_TOKEN: SECRET, OTHER: 'not a name of the box'}
  world.vendor.offers = [offer('a'), offer('b')]
  id = world.addBox()
}
afterEach(() => world.close())

const sleepOn = () =>
  hibernate(hibernateRequest(id), {parts: world.hibernateParts(), service: world.service()})
const run = (changes: Partial<WakeRequest> = {}) =>
  wake(wakeRequest(id, {env: {}, ...changes}), {parts: world.wakeParts(), service: world.service()})
const recordOf = () => readRecord(world.store, {provider: 'vast', account: '4711', id})
const stored = async () => {
  const all: string[] = []
  for await (const {key} of world.inner.list(''))
    all.push(Buffer.from(await world.inner.get(key)).toString())
  return all.join('')
}

describe('in a sealed store', () => {
  beforeEach(() => begin('sealed'))

  test('the values of an environment sleep with the box, and wake with it', async () => {
    await sleepOn()
    expect((await recordOf())?.values).toEqual({HF_TOKEN: SECRET})
    expect((await run()).kind).toBe('woken')
    expect(world.vendor.environments).toEqual([{HF_TOKEN: SECRET}])
  })

  test('a value that is given comes before the one that is kept', async () => {
    await sleepOn()
    await run({env: {HF_TOKEN: 'newer'}})
    expect(world.vendor.environments).toEqual([{HF_TOKEN: 'newer'}])
  })

  test('values are shown by nothing', async () => {
    const slept = await sleepOn()
    const listed = await listInstances([world.vendor.provider()], world.service())
    const woken = await run()
    const told = JSON.stringify([slept, listed, woken, world.events, world.hooks])
    expect(told).not.toContain(SECRET)
    expect(await stored()).not.toContain(SECRET)
    expect(await stored()).not.toContain('HF_TOKEN')
  })

  test.each([
    [
      'a vendor that fails',
      () => (world.vendor.fault = (what) => (what === 'values' ? 'PROTOCOL' : undefined)),
    ],
    ['values that are too long', () => (world.vendor.values = {HF_TOKEN: 'x'.repeat(70_000)})],
  ])('%s leaves the snapshot whole, and is told', async (_what, make) => {
    make()
    expect(await sleepOn()).toMatchObject({state: 'hibernated'})
    expect((await recordOf())?.values).toBeUndefined()
    const notes = world.events.filter((event) => event.kind === 'note')
    expect(JSON.stringify(notes)).toContain('not kept')
    await expect(run()).rejects.toMatchObject({code: 'USAGE'})
  })
})

describe.each(['sealed', 'authenticated'] as const)(
  'records of a store that is %s',
  (protection) => {
    beforeEach(() => begin(protection))

    const newest = async (of: string) => {
      const keys: string[] = []
      for await (const {key} of world.inner.list(`instances/vast-4711-${of}/`)) keys.push(key)
      return keys.at(-1) ?? ''
    }
    const change = async (key: string, make: (bytes: Buffer) => Uint8Array) => {
      const bytes = Buffer.from(await world.inner.get(key))
      await world.inner.put(key, make(bytes), {onlyIfAbsent: false})
    }

    test.each([
      [
        'a bit of it changed',
        (bytes: Buffer) => {
          bytes.writeUInt8(bytes.readUInt8(120) ^ 1, 120)
          return bytes
        },
      ],
      ['its end is missing', (bytes: Buffer) => bytes.subarray(0, -3)],
      ['somebody without the keys wrote it', () => Buffer.from('{"format":1,"sequence":9}')],
    ])('wake nothing when %s, and hold every snapshot', async (_what, make) => {
      const {snapshot} = await sleepOn()
      await change(await newest(id), make)
      await expect(run({env: {HF_TOKEN: 'x'}})).rejects.toMatchObject({code: 'INTEGRITY'})
      expect(world.vendor.creates).toEqual([])
      const {failures} = await listInstances([world.vendor.provider()], world.service())
      expect(failures).toHaveLength(1)
      await expect(refuseHeld(world.store, [snapshot.id])).rejects.toMatchObject({
        code: 'INCOMPLETE',
      })
    })

    test('speak for no other instance, nor as a later one', async () => {
      await sleepOn()
      const key = await newest(id)
      const bytes = await world.inner.get(key)
      await world.inner.put(key.replace(`-${id}/`, '-99/'), bytes)
      await world.inner.put(key.replace(/\d{8}$/, '00000099'), bytes)
      for (const other of [id, '99'])
        await expect(
          readRecord(world.store, {provider: 'vast', account: '4711', id: other}),
        ).rejects.toMatchObject({code: 'INTEGRITY'})
    })
  },
)

describe.each([undefined, 'authenticated'] as const)('in a store that is %s', (protection) => {
  beforeEach(() => begin(protection))

  test('no value is asked for, or kept', async () => {
    await sleepOn()
    expect(world.vendor.calls).not.toContain('values')
    expect((await recordOf())?.values).toBeUndefined()
  })

  test('no value can be written at all', async () => {
    await sleepOn()
    const record = await recordOf()
    if (!record) throw new Error('nothing was recorded')
    const name = {provider: 'vast', account: '4711', id}
    const decide = () => ({...record, values: {HF_TOKEN: SECRET}})
    await expect(appendRecord(world.store, name, {decide, owner: 'me'})).rejects.toThrow(RangeError)
    expect(await stored()).not.toContain(SECRET)
  })
})
