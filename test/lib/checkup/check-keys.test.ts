import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {chmod, rm} from 'node:fs/promises'
import {checkKeys} from '../../../src/lib/checkup/check-keys.js'
import {openRepository} from '../../../src/lib/store/repository.js'
import {KeyWorld, Paper} from '../keys/key-world.js'

let world: KeyWorld

beforeEach(async () => {
  world = await KeyWorld.open()
})
afterEach(() => world.close())

const look = (machine?: string) => checkKeys(world.store, world.place(machine))
const statesOf = (findings: Awaited<ReturnType<typeof look>>) =>
  findings.map(({state, what}) => `${what} ${state}`)

describe('a look at the keys', () => {
  test('of a store that is not there finds nothing', async () => {
    expect(await look()).toEqual([])
  })

  test('of a store without keys says so, and stops nobody', async () => {
    await openRepository(world.store, {create: true})
    expect(statesOf(await look())).toEqual(['keys note'])
  })

  test('finds what opens the store', async () => {
    await world.begin({recovery: new Paper()})
    expect(statesOf(await look())).toEqual(['keys good', 'key good'])
  })

  test('misses a recovery text', async () => {
    await world.begin()
    const findings = await look()
    expect(statesOf(findings)).toEqual(['keys good', 'key good', 'recovery note'])
    expect(findings[2]?.remedy).toBe('dumont key add --recovery')
  })

  test('finds a key that others can read, and one that is gone', async () => {
    const {repository} = await world.begin({recovery: new Paper()})
    const file = world.fileOf(repository?.id ?? '')
    await chmod(file, 0o644)
    expect((await look())[1]).toMatchObject({
      exitCode: 77,
      remedy: `chmod 600 ${file}`,
      state: 'bad',
    })
    await rm(file)
    expect((await look())[1]).toMatchObject({exitCode: 77, state: 'bad', what: 'key'})
  })

  test('asks nobody', async () => {
    await world.begin()
    const ask = () => Promise.reject(new Error('asked'))
    const place = world.place('other', {ask})
    expect(statesOf(await checkKeys(world.store, place))).toContain('key bad')
  })

  test('names slots that cannot be used', async () => {
    await world.begin({recovery: new Paper()})
    await world.store.put('keys/0000000000000000.json', Buffer.from('{}'))
    expect(statesOf(await look())).toEqual(['keys good', 'keys note', 'key good'])
  })
})
