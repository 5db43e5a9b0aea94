import {writeFile} from 'node:fs/promises'
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from '@jest/globals'
import {DumontError} from '../../src/lib/errors.js'
import {exitCodeOfHibernate} from '../../src/lib/instances/hibernate.js'
import {canContain} from '../support/container.js'
import {sshdAvailable} from '../support/sshd.js'
import {BOOT_SCENARIOS} from '../support/vast/boot-scenarios.js'
import {RESUME} from '../support/vast/instance.js'
import {LIFE_SCENARIOS} from '../support/vast/life-scenarios.js'
import {OFFER_SCENARIOS} from '../support/vast/offer-scenarios.js'
import {offerRow} from '../support/vast/offers.js'
import type {Scenario} from '../support/vast/scenario.js'
import {SECRET, VastWorld} from './vast-world.js'

const possible = sshdAvailable() && canContain()
const whereContainersAre = possible ? describe : describe.skip
if (!possible)
  console.warn('SKIPPED: scenarios on boxes need sshd and the right to make containers')

const scenarioOf = (from: readonly Scenario[], title: string): Scenario => {
  const found = from.find((one) => one.title === title)
  if (!found) throw new Error(`no scenario: ${title}`)
  return found
}

/** How many machines were rented until one was ready. */
const WAKES: readonly (readonly [title: string, rented: number])[] = [
  ['stuck while loading', 2],
  ['no such image', 2],
  ['the vendor gives up', 2],
  ['the container cannot be made', 2],
  ['exits while loading', 2],
  ['goes offline while loading', 2],
  ['is unknown for a while', 1],
  ['stays blank', 2],
  ['port 22 is not mapped', 1],
  ['the direct port is silent', 1],
  ['the proxy answers beside its port', 1],
  ['no key lets in for a minute', 1],
  ['no key lets in ever', 2],
  ['not to be seen at first', 1],
  ['not to be found at first', 1],
  ['fewer GPUs than offered', 2],
  ['less disk than ordered', 2],
  ['rows that do not match', 1],
  ['one offer instead of a list', 1],
  ['the offer is gone, told with 404', 1],
  ['the offer is taken before the create', 1],
]

/** The error, and how many machines were rented and given back before it. */
const NOTHING: readonly (readonly [title: string, code: string, rented: number])[] = [
  ['nothing is offered', 'VENDOR_BUSY', 0],
  ['every offer is taken before the create', 'VENDOR_BUSY', 0],
  ['no credit', 'ACCESS_DENIED', 0],
  ['a new account spends too fast', 'ACCESS_DENIED', 0],
  ['the price rises before the create', 'VENDOR_BUSY', 3],
]

whereContainersAre('waking through', () => {
  let world: VastWorld
  let snapshot: string
  beforeAll(async () => {
    world = await VastWorld.open({readyMs: 4000})
    const {id} = await world.rent()
    await writeFile(world.box(id).container.at('/workspace/notes'), 'kept')
    ;({
      snapshot: {id: snapshot},
    } = await world.hibernate(id))
  })
  afterAll(() => world?.close())
  beforeEach(() => {
    world.fake.offers = [101, 102, 103, 104].map((id) => offerRow(id))
    world.fake.account.credit = 25
    world.fake.lives = []
  })
  afterEach(async () => {
    world.fake.faults.clear()
    for (const one of world.fake.live()) await world.fake.destroy(one)
    expect(world.fake.violations).toEqual([])
    expect(world.fake.spacing.tooSoon).toEqual([])
    expect(await world.everythingTold()).not.toContain(SECRET)
  })
  const all = [...BOOT_SCENARIOS, ...OFFER_SCENARIOS]
  const rented = async (wake: () => Promise<unknown>) => {
    const before = world.fake.instances.size
    const destroyed = world.deletes
    await wake()
    return {created: world.fake.instances.size - before, ended: world.deletes - destroyed}
  }

  test.each(WAKES)('%s takes %i machines', async (title, machines) => {
    scenarioOf(all, title).arrange(world.fake)
    let ready = ''
    const {created, ended} = await rented(async () => {
      const result = await world.wake(snapshot, {fork: true, snapshot})
      expect(result).toMatchObject({failures: [], leaks: []})
      ready = result.machines[0]?.instance.id ?? ''
    })
    expect({created, ended}).toEqual({created: machines, ended: machines - 1})
    expect(world.fake.live().map((one) => String(one.id))).toEqual([ready])
    expect(world.box(ready).container.run('cat', '/workspace/notes')).toBe('kept')
  })
  test('a bid that is not taken as one gives the machine back', async () => {
    const market = {bid: 0.2, kind: 'spot'} as const
    for (const title of ['rented on demand although a bid was made', 'the bid is too low by now']) {
      world.fake.offers = [101, 102, 103, 104].map((one) => offerRow(one))
      scenarioOf(all, title).arrange(world.fake)
      world.fake.lives = world.fake.lives.slice(0, 1)
      const {created, ended} = await rented(async () => {
        await world.wake(snapshot, {fork: true, market, snapshot}).catch(() => undefined)
      })
      expect(created).toBeGreaterThan(0)
      expect(world.fake.live()).toHaveLength(created - ended)
      for (const one of world.fake.live()) {
        expect(one.isSpot).toBe(true)
        expect(one.isRunning()).toBe(true)
        await world.fake.destroy(one)
      }
    }
  })
  test.each(NOTHING)('%s ends with %s and keeps nothing', async (title, code, machines) => {
    scenarioOf(all, title).arrange(world.fake)
    const counts = await rented(async () => {
      await expect(world.wake(snapshot, {fork: true, snapshot})).rejects.toMatchObject({code})
    })
    expect(counts).toEqual({created: machines, ended: machines})
    expect(world.fake.live()).toEqual([])
  })
})

whereContainersAre('hibernating through', () => {
  let world: VastWorld
  let id: number
  beforeEach(async () => {
    world = await VastWorld.open()
    ;({id} = await world.rent())
    await writeFile(world.box(id).container.at('/workspace/notes'), 'kept')
  })
  afterEach(async () => {
    expect(world.fake.violations).toEqual([])
    expect(world.fake.spacing.tooSoon).toEqual([])
    expect(await world.everythingTold()).not.toContain(SECRET)
    await world.close()
  })
  const arrange = (title: string) => scenarioOf(LIFE_SCENARIOS, title).arrange(world.fake)
  const instance = () => {
    const found = world.fake.instances.get(id)
    if (!found) throw new Error('no instance')
    return found
  }

  test.each([
    ['outbid', 'INSTANCE_BUSY', 1],
    ['outbid', 'INSTANCE_BUSY', 2],
    ['the host goes offline', 'UNREACHABLE', 1],
    ['the host goes offline', 'UNREACHABLE', 2],
    ['the balance is used up', 'INSTANCE_BUSY', 1],
    ['the contract ends', 'INSTANCE_BUSY', 2],
  ])(
    '%s in the middle is no success (%s, snapshot %i), and goes on later',
    async (title, code, at) => {
      let when = at
      world.beforeTake = () => {
        if ((when -= 1) === 0) arrange(title)
      }
      await expect(world.hibernate(id)).rejects.toMatchObject({code})
      expect(world.deletes).toBe(0)
      instance().life = {}
      world.fake.account.credit = 25
      await instance().start()
      world.fake.clock.advance(60_000)
      expect(await world.hibernate(id)).toMatchObject({reasons: [], state: 'hibernated'})
    },
  )

  test('another address after a restart goes on, and a restart in the middle voids it', async () => {
    await world.hibernate(id, {goal: 'protect'})
    arrange('moves when it starts again')
    world.fake.clock.advance(60_000)
    expect(await world.hibernate(id)).toMatchObject({reasons: [], state: 'hibernated'})
  })

  test.each([
    'destroy says no_such_instance',
    'destroy says not_found',
    'too often for a destroy, three times',
    'still in the records after its end',
  ])('%s is confirmed all the same', async (title) => {
    arrange(title)
    expect(await world.hibernate(id)).toMatchObject({reasons: [], state: 'hibernated'})
    expect(world.fake.live()).toEqual([])
  })

  test('a destroy that is refused once leaves a box that is safe and named, and then works', async () => {
    arrange('destroy is refused once')
    const outcome = await world.hibernate(id)
    if (outcome.state === 'protected') expect(exitCodeOfHibernate(outcome)).toBe(3)
    expect((await world.hibernate(id)).state).toBe('hibernated')
    expect(world.fake.live()).toEqual([])
  })

  test('a destroy that only claims to have worked is not believed', async () => {
    instance().life = {...instance().life, lingeringReads: 1000}
    const outcome = await world.hibernate(id)
    expect(outcome.state).toBe('destroy-unconfirmed')
    expect(exitCodeOfHibernate(outcome)).toBe(75)
    instance().life = {...instance().life, lingeringReads: 0}
    expect(await world.hibernate(id)).toMatchObject({reasons: [], state: 'hibernated'})
    expect(world.deletes).toBe(1)
  })

  test('somebody who destroys it between proof and end is told of', async () => {
    const confirm = async () => {
      await world.fake.destroy(instance())
      return true
    }
    await expect(world.hibernate(id, {confirm})).rejects.toMatchObject({code: 'INCOMPLETE'})
    expect(world.deletes).toBe(0)
    expect((await world.wake(id)).kind).toBe('woken')
  })

  test('a key that may not destroy leaves the box as it was, thawed', async () => {
    const confirm = async () => {
      world.fake.scopes.delete('instance_write')
      return true
    }
    const outcome = await world.hibernate(id, {busy: 'freeze', confirm})
    expect(outcome.state).toBe('protected')
    expect(exitCodeOfHibernate(outcome)).toBe(3)
    expect(world.fake.live()).toHaveLength(1)
  })

  test('an interruption at any step ends nothing that is not proven, and the next run goes on', async () => {
    for (const step of ['identify', 'freeze', 'transfer', 'commit', 'rescan', 'prove', 'record']) {
      const stop = new AbortController()
      world.onEvent = (event) => {
        if (event.kind === 'step' && event.step === step && event.state === 'started')
          stop.abort(new DumontError('INTERRUPTED', 'interrupted'))
      }
      await expect(world.hibernate(id, {busy: 'freeze'}, stop.signal)).rejects.toMatchObject({
        code: 'INTERRUPTED',
      })
    }
    world.onEvent = () => {}
    expect(world.deletes).toBe(0)
    expect(await world.hibernate(id, {busy: 'freeze'})).toMatchObject({state: 'hibernated'})
  }, 150_000)

  test('a started box that never gets its GPU back is told of, and nothing else rented', async () => {
    await world.hibernate(id, {goal: 'stop'})
    instance().life = {resume: RESUME.slice(0, 1)}
    await expect(world.wake(id)).rejects.toMatchObject({code: 'VENDOR_BUSY'})
    expect(world.fake.instances.size).toBe(1)
  })

  test('two that wake it at once keep one machine', async () => {
    await world.hibernate(id)
    for (const run of [2, 3]) world.running.add(run)
    const both = await Promise.allSettled([world.wake(id), world.wake(id)])
    expect(both.map(({status}) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(world.fake.live()).toHaveLength(1)
    world.fake.spacing.tooSoon.length = 0
  })

  test('two at once: one ends it, the other stops', async () => {
    const both = await Promise.allSettled([world.hibernate(id), world.hibernate(id)])
    const states = both.map((one) => (one.status === 'fulfilled' ? one.value.state : 'failed'))
    expect(states).toContain('hibernated')
    expect(world.fake.live()).toEqual([])
    // They cannot know of each other's requests; the vendor says so, and both wait.
    world.fake.spacing.tooSoon.length = 0
  })
})
