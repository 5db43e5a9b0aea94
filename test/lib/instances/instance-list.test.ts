import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {hibernate} from '../../../src/lib/instances/hibernate.js'
import {listInstances} from '../../../src/lib/instances/instance-list.js'
import {hibernateRequest, InstanceWorld} from './instance-world.js'

let world: InstanceWorld

beforeEach(async () => {
  world = await new InstanceWorld().open()
})
afterEach(() => world.close())

const sleepOn = (id: string, goal: 'destroy' | 'protect' | 'stop') =>
  hibernate(hibernateRequest(id, {goal}), {parts: world.hibernateParts(), service: world.service()})
const list = () => listInstances([world.vendor.provider()], world)

describe('the list of instances', () => {
  test('shows running and hibernated together, the billed ones first', async () => {
    const asleep = world.addBox()
    const cheap = world.addBox({hourly: 0.1})
    const dear = world.addBox({hourly: 2})
    const {snapshot} = await sleepOn(asleep, 'destroy')
    const {failures, instances} = await list()
    expect(failures).toEqual([])
    expect(instances.map(({id, state}) => [id, state])).toEqual([
      [dear, 'running'],
      [cheap, 'running'],
      [asleep, 'hibernated'],
    ])
    expect(instances[2]).toMatchObject({
      gpu: 'RTX 4090',
      hourly: undefined,
      monthly: 0.3,
      snapshot: {id: snapshot.id},
      unprotected: undefined,
    })
  })

  test('says what would be lost', async () => {
    const saved = world.addBox()
    const unsaved = world.addBox()
    await sleepOn(saved, 'protect')
    await world.clock.sleep(3 * 3_600_000)
    const {instances} = await list()
    const words = new Map(instances.map((one) => [one.id, one.unprotected]))
    expect(words.get(saved)).toMatch(/^the last 3\.0 h/)
    expect(words.get(unsaved)).toMatch(/^everything/)
  })

  test('goes on without a vendor that does not answer', async () => {
    const asleep = world.addBox()
    await sleepOn(asleep, 'destroy')
    world.vendor.fault = () => 'TRANSPORT'
    const {failures, instances} = await list()
    expect(failures).toHaveLength(1)
    expect(instances).toHaveLength(1)
  })

  test('names a destroyed one that is not certainly gone', async () => {
    const id = world.addBox({fate: {lingers: 60}})
    expect((await sleepOn(id, 'destroy')).state).toBe('destroy-unconfirmed')
    const contract = world.vendor.find(id)
    if (contract) contract.lingers = 0
    const [one] = (await list()).instances
    expect(one).toMatchObject({
      state: 'destroy-unconfirmed',
      hourly: 0.4,
      unprotected: expect.any(String),
    })
  })
})
