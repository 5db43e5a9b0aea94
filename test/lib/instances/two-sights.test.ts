import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {DumontError} from '../../../src/lib/errors.js'
import {confirmGone} from '../../../src/lib/instances/end-instance.js'
import {hibernate} from '../../../src/lib/instances/hibernate.js'
import {changed} from '../../../src/lib/instances/record-draft.js'
import {appendRecord, readRecord} from '../../../src/lib/instances/record-log.js'
import {reconcile} from '../../../src/lib/instances/reconcile.js'
import {wake} from '../../../src/lib/instances/wake.js'
import {goneInstance} from '../../../src/lib/providers/gone-instance.js'
import type {Provider} from '../../../src/lib/providers/provider.js'
import {offer} from './fake-vendor.js'
import {hibernateRequest, InstanceWorld, wakeRequest} from './instance-world.js'

let world: InstanceWorld
let id: string

beforeEach(async () => {
  world = await new InstanceWorld().open()
  id = world.addBox()
  world.vendor.offers = [offer('a'), offer('b')]
})
afterEach(() => world.close())

const NAME = () => ({provider: 'vast', account: '4711', id})
const isLive = () => world.vendor.live().some((one) => one.id === id)
const sleepOn = (goal: 'destroy' | 'protect' = 'destroy', service = world.service()) =>
  hibernate(hibernateRequest(id, {goal}), {parts: world.hibernateParts(), service})
/** A vendor whose reading of one instance misses it. */
const blind = (): Provider => ({
  ...world.vendor.provider(),
  get: async (asked) => goneInstance(asked),
})

describe('an instance is gone', () => {
  const confirm = (provider: Provider) =>
    confirmGone({id, createdAt: undefined}, {clock: world.clock, provider})

  test('only when the full list lacks it as well', async () => {
    expect(await confirm(blind())).toBe(false)
  })

  test('only when two readings in a row miss it', async () => {
    let reading = 0
    const flickering: Provider = {
      ...world.vendor.provider(),
      get: async (asked) => {
        reading += 1
        return reading % 2 === 0 ? goneInstance(asked) : world.vendor.provider().get(asked)
      },
      list: async () => [],
    }
    expect(await confirm(flickering)).toBe(false)
  })

  test('although another got its id since', async () => {
    const contract = world.vendor.find(id)
    const createdAt = (contract?.createdAt ?? 0) - 1
    const {clock} = world
    expect(await confirmGone({id, createdAt}, {clock, provider: world.vendor.provider()})).toBe(
      true,
    )
  })

  test('for a wake, which else makes no second copy', async () => {
    await sleepOn('protect')
    const service = {...world.service(), provider: blind()}
    await expect(wake(wakeRequest(id), {parts: world.wakeParts(), service})).rejects.toMatchObject({
      code: 'INSTANCE_BUSY',
    })
    expect(world.vendor.creates).toEqual([])
  })

  test('for a later command, which writes it down', async () => {
    const contract = world.vendor.find(id)
    if (contract) Object.assign(contract, {fate: {lingers: 100}})
    await sleepOn()
    expect((await reconcile(world.service())).unconfirmed).toEqual([id])
    if (contract) contract.lingers = 0
    expect((await reconcile(world.service())).confirmed).toEqual([id])
    expect((await readRecord(world.store, NAME()))?.state).toBe('hibernated')
  })
})

describe('nothing is destroyed', () => {
  test('when the store does not show the record as it was written', async () => {
    const service = world.service()
    const get = world.store.get.bind(world.store)
    world.store.get = async (...given) => {
      const text = Buffer.from(await get(...given)).toString()
      return Buffer.from(text.includes('"destroying"') ? text.replace('aaaa.1', 'zzzz.1') : text)
    }
    await expect(sleepOn('destroy', service)).rejects.toMatchObject({code: 'INTEGRITY'})
    expect(isLive()).toBe(true)
  })

  test('when another dumont has written since', async () => {
    const confirm = async () => {
      await appendRecord(world.store, NAME(), {
        owner: 'bbbb.1',
        decide: (last) => (last ? changed(last, {state: 'running'}) : undefined),
      })
      return true
    }
    await expect(
      hibernate(hibernateRequest(id, {confirm}), {
        parts: world.hibernateParts(),
        service: world.service(),
      }),
    ).rejects.toMatchObject({code: 'INSTANCE_BUSY'})
    expect(isLive()).toBe(true)
  })

  test('that a restore was completed on, although nobody got it yet', async () => {
    await sleepOn()
    const stop = new AbortController()
    const parts = world.wakeParts()
    const service = world.service()
    const cut = {
      ...service,
      openSession: (host: string) =>
        stop.signal.aborted
          ? Promise.reject(new DumontError('INTERRUPTED', 'interrupted'))
          : service.openSession(host),
    }
    const restore: typeof parts.restore = async (...given) => {
      const done = await parts.restore(...given)
      stop.abort(new DumontError('INTERRUPTED', 'interrupted'))
      return done
    }
    await expect(
      wake(
        wakeRequest(id, {readyHook: 'go'}),
        {parts: {...parts, restore}, service: cut},
        stop.signal,
      ),
    ).rejects.toMatchObject({message: expect.stringContaining('1002')})
    world.probe = async () => ({kind: 'closed', why: 'filtered'})
    await expect(
      wake(wakeRequest(id), {parts, service: world.service(world.owner('aaaa.2'))}),
    ).rejects.toMatchObject({message: expect.stringContaining('1002')})
    expect(world.vendor.live().map((one) => one.id)).toEqual(['1002'])
    expect(world.vendor.creates).toEqual(['1002'])
  })
})
