import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {DumontError} from '../../../src/lib/errors.js'
import {exitCodeOfHibernate, hibernate} from '../../../src/lib/instances/hibernate.js'
import type {HibernateRequest} from '../../../src/lib/instances/hibernate-request.js'
import {readRecord} from '../../../src/lib/instances/record-log.js'
import {hibernateRequest, InstanceWorld} from './instance-world.js'

let world: InstanceWorld
let id: string

beforeEach(async () => {
  world = await new InstanceWorld().open()
  id = world.addBox()
})
afterEach(() => world.close())

const run = (changes: Partial<HibernateRequest> = {}, of = id) =>
  hibernate(hibernateRequest(of, changes), {
    parts: world.hibernateParts(),
    service: world.service(),
  })
const stateOf = async (of = id) =>
  (await readRecord(world.store, {provider: 'vast', account: '4711', id: of}))?.state
const isLive = () => world.vendor.live().some((one) => one.id === id)
const moved = (phase: 'interrupted' | 'running' | 'stopped') => {
  const contract = world.vendor.find(id)
  if (contract) contract.phase = phase
}

describe('hibernating', () => {
  test('with --destroy proves, destroys, confirms and records', async () => {
    const outcome = await run()
    expect(outcome).toMatchObject({state: 'hibernated', stillHourly: 0, reasons: [], hourly: 0.4})
    expect(exitCodeOfHibernate(outcome)).toBe(0)
    expect(world.vendor.destroyed).toEqual([{id, kind: 'receipt'}])
    expect(await stateOf()).toBe('hibernated')
  })

  test('without an end leaves the box as it is and says that it is billed', async () => {
    const outcome = await run({goal: 'protect'})
    expect(outcome).toMatchObject({state: 'protected', stillHourly: 0.4})
    expect(exitCodeOfHibernate(outcome)).toBe(0)
    expect(isLive()).toBe(true)
  })

  test('with --stop stops and records', async () => {
    const outcome = await run({goal: 'stop'})
    expect(outcome.state).toBe('stopped')
    expect(world.vendor.find(id)?.phase).toBe('stopped')
    expect(await stateOf()).toBe('stopped')
  })

  test('destroys nothing when the operator does not agree, and is not done', async () => {
    const outcome = await run({confirm: async () => false})
    expect(outcome.state).toBe('protected')
    expect(exitCodeOfHibernate(outcome)).toBe(3)
    expect(isLive()).toBe(true)
  })

  test('destroys nothing without a receipt', async () => {
    world.refusals = [{rule: 'census', message: '/data is not saved', remedy: 'add --path /data'}]
    await expect(run()).rejects.toMatchObject({
      code: 'INCOMPLETE',
      message: expect.stringContaining('/data is not saved'),
    })
    expect(isLive()).toBe(true)
    expect(await stateOf()).toBeUndefined()
  })

  test('gives up when the receipt does not hold right before the end', async () => {
    world.voids = [{rule: 'identity', message: 'the boot id changed', remedy: 'again'}]
    const outcome = await run()
    expect(outcome).toMatchObject({state: 'protected', reasons: ['the boot id changed']})
    expect(exitCodeOfHibernate(outcome)).toBe(3)
    expect(isLive()).toBe(true)
    expect(await stateOf()).toBe('protected')
  })

  test('refuses a box at work, and says what works', async () => {
    world.box(id).busy = ['python (77) holds GPU memory']
    await expect(run()).rejects.toMatchObject({
      code: 'INCOMPLETE',
      message: expect.stringContaining('python (77)'),
    })
    expect(isLive()).toBe(true)
  })

  test('stops what works when asked to', async () => {
    world.box(id).busy = ['python (77) holds GPU memory']
    expect((await run({busy: 'stop'})).state).toBe('hibernated')
  })

  test('takes increments until nothing changes', async () => {
    world.beforeTake = (box, count) => {
      if (count < 4) box.content += count
    }
    const outcome = await run()
    expect(outcome).toMatchObject({state: 'hibernated', snapshot: {sequence: 4}})
  })

  test('stops and tells when it never gets quiet', async () => {
    world.beforeTake = (box, count) => {
      box.content += count
    }
    await expect(run()).rejects.toMatchObject({message: expect.stringContaining('keeps changing')})
    expect(isLive()).toBe(true)
  })

  test('freezes for the last increment and destroys frozen', async () => {
    const frozen: boolean[] = []
    world.beforeTake = (box) => frozen.push(box.frozen)
    expect((await run({busy: 'freeze'})).state).toBe('hibernated')
    expect(frozen).toEqual([false, true])
    expect(world.box(id).frozen).toBe(true)
  })

  test.each<readonly [string, () => void]>([
    ['no receipt', () => void (world.refusals = [{rule: 'disk', message: 'x', remedy: 'y'}])],
    ['a void receipt', () => void (world.voids = [{rule: 'disk', message: 'x', remedy: 'y'}])],
    [
      'a refused DELETE',
      () => void (world.vendor.fault = (op) => (op === 'destroy' ? 'AUTH' : undefined)),
    ],
    [
      'a box that never gets quiet',
      () => void (world.beforeTake = (box, n) => void (box.content += n)),
    ],
  ])('thaws a frozen box after %s', async (_, spoil) => {
    spoil()
    await run({busy: 'freeze'}).catch(() => undefined)
    expect(isLive()).toBe(true)
    expect(world.box(id).frozen).toBe(false)
  })

  test('a failed pre-hook aborts before anything is read', async () => {
    world.hookCode = 9
    await expect(run({preHook: 'halt-training'})).rejects.toMatchObject({code: 'INCOMPLETE'})
    expect(await stateOf()).toBeUndefined()
    expect(world.vendor.destroyed).toEqual([])
  })

  test('tells hooks what happens on stdin, never in the line', async () => {
    await run({goal: 'protect', preHook: 'halt', postHook: 'go-on'})
    expect(world.hooks.map(({command}) => command)).toEqual(['halt', 'go-on'])
    expect(world.hooks[0]?.data).toMatchObject({event: 'pre-hook', instance: {id}, snapshot: null})
  })

  test('runs the post-hook on every failure behind the pre-hook, and not on a box that is gone', async () => {
    world.refusals = [{rule: 'disk', message: 'x', remedy: 'y'}]
    await expect(run({preHook: 'halt', postHook: 'go-on'})).rejects.toThrow()
    expect(world.hooks).toHaveLength(2)
    world.refusals = []
    world.hooks.length = 0
    await run({preHook: 'halt', postHook: 'go-on'})
    expect(world.hooks.map(({command}) => command)).toEqual(['halt'])
  })

  test('a spot box that vanishes midway is no success', async () => {
    world.beforeTake = (_, count) => {
      if (count === 2) moved('interrupted')
    }
    await expect(run()).rejects.toMatchObject({
      code: 'INSTANCE_BUSY',
      message: expect.stringContaining('interrupted'),
    })
    expect(world.vendor.destroyed).toEqual([])
  })

  test('a box that vanished for good after a proof is named as lost', async () => {
    await run({goal: 'protect'})
    const contract = world.vendor.find(id)
    if (contract) contract.ended = true
    await expect(run()).rejects.toMatchObject({
      code: 'INCOMPLETE',
      message: expect.stringContaining('not by dumont'),
    })
  })

  test.each(['stopped', 'interrupted'] as const)('refuses a box that is %s', async (phase) => {
    moved(phase)
    await expect(run()).rejects.toMatchObject({code: 'INSTANCE_BUSY'})
  })

  test('knows no instance of another account', async () => {
    world.vendor.account = '99'
    await expect(run({}, '31337')).rejects.toMatchObject({code: 'USAGE'})
  })

  test('a DELETE whose answer is lost is asked for again and confirmed', async () => {
    world.vendor.fault = (operation, count) =>
      operation === 'destroy' && count === 1 ? 'lost-reply' : undefined
    expect((await run()).state).toBe('hibernated')
  })

  test('a record that stays for several readings is waited for', async () => {
    const contract = world.vendor.find(id)
    if (contract) Object.assign(contract, {fate: {lingers: 6}})
    expect((await run()).state).toBe('hibernated')
  })

  test('what never disappears is unconfirmed, exits 75, and is confirmed by a later run', async () => {
    const contract = world.vendor.find(id)
    if (contract) Object.assign(contract, {fate: {lingers: 100}})
    const outcome = await run()
    expect(outcome.state).toBe('destroy-unconfirmed')
    expect(exitCodeOfHibernate(outcome)).toBe(75)
    if (contract) contract.lingers = 0
    const again = await run()
    expect(again.state).toBe('hibernated')
    expect(exitCodeOfHibernate(again)).toBe(0)
    expect(world.vendor.destroyed).toHaveLength(1)
  })

  test('an end that was only announced is not told as a success when somebody else ended the box days later', async () => {
    const parts = world.hibernateParts()
    const cut: typeof parts = {
      ...parts,
      open: async (...given) => ({
        ...(await parts.open(...given)),
        recheck: () => Promise.reject(new DumontError('INTERRUPTED', 'killed')),
      }),
    }
    await expect(
      hibernate(hibernateRequest(id), {parts: cut, service: world.service()}),
    ).rejects.toThrow('killed')
    expect(await stateOf()).toBe('destroying')
    await world.clock.sleep(2 * 86_400_000)
    const contract = world.vendor.find(id)
    if (contract) contract.ended = true
    const outcome = await run()
    expect(outcome.reasons).toEqual([expect.stringContaining('is lost')])
    expect(exitCodeOfHibernate(outcome)).toBe(3)
  })

  test('run again after it is done says the same and does nothing', async () => {
    await run()
    const calls = world.vendor.creates.length
    expect((await run()).state).toBe('hibernated')
    expect(world.vendor.destroyed).toHaveLength(1)
    expect(world.vendor.creates).toHaveLength(calls)
  })

  test('refuses to destroy where the vendor cannot', async () => {
    const service = world.service()
    const provider = {
      ...service.provider,
      capabilities: {...service.provider.capabilities, destroy: false},
    }
    await expect(
      hibernate(hibernateRequest(id), {
        parts: world.hibernateParts(),
        service: {...service, provider},
      }),
    ).rejects.toMatchObject({code: 'USAGE'})
  })
})
