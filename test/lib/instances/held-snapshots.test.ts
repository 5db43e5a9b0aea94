import {afterEach, beforeEach, expect, test} from '@jest/globals'
import {hibernate} from '../../../src/lib/instances/hibernate.js'
import {refuseHeld} from '../../../src/lib/instances/held-snapshots.js'
import {findWakeAccount} from '../../../src/lib/instances/wake-account.js'
import {hibernateRequest, InstanceWorld} from './instance-world.js'

let world: InstanceWorld
let id: string
beforeEach(async () => {
  world = await new InstanceWorld().open()
  id = world.addBox()
})
afterEach(() => world.close())

const sleepOn = async (goal: 'destroy' | 'protect') => {
  const parts = world.hibernateParts()
  const request = hibernateRequest(id, {goal})
  return (await hibernate(request, {parts, service: world.service()})).snapshot.id
}
const account = (text: string) => findWakeAccount(text, {standard: 'lambda'}, world.store)

test('the snapshot of a hibernated instance is held, and named with it', async () => {
  const snapshot = await sleepOn('destroy')
  await expect(refuseHeld(world.store, ['other', snapshot])).rejects.toMatchObject({
    code: 'INCOMPLETE',
    hint: expect.stringContaining('--release-hold'),
    message: expect.stringContaining(`vast:${id}`),
  })
})

test('other snapshots, and those of instances that live on, are not held', async () => {
  const snapshot = await sleepOn('protect')
  await refuseHeld(world.store, [snapshot, 'other'])
})

test('a record that cannot be read may hold any snapshot', async () => {
  await world.store.put('instances/vast-4711-9/00000000', Buffer.from('{'))
  await expect(refuseHeld(world.store, ['other'])).rejects.toMatchObject({code: 'INCOMPLETE'})
})

test('a snapshot is woken at the vendor of the instance it was taken of', async () => {
  const snapshot = await sleepOn('destroy')
  expect(await account(snapshot)).toEqual({provider: 'vast', what: snapshot})
})

test.each([
  ['vast:12345', {provider: 'vast', what: '12345'}],
  ['k3f9qz', {provider: 'lambda', what: 'k3f9qz'}],
  ['latest:train-a', {provider: 'lambda', what: 'latest:train-a'}],
  ['latest', {provider: 'lambda', what: 'latest'}],
  ['20261123T140200Z-k3f9qz', {provider: 'lambda', what: '20261123T140200Z-k3f9qz'}],
])('%s is read as %j', async (text, expected) => {
  expect(await account(text)).toEqual(expected)
})
