import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {readFileSync, readdirSync} from 'node:fs'
import {join} from 'node:path'
import {DumontError} from '../../../src/lib/errors.js'
import {hibernate} from '../../../src/lib/instances/hibernate.js'
import {readRecord} from '../../../src/lib/instances/record-log.js'
import {reconcile} from '../../../src/lib/instances/reconcile.js'
import type {WakeRequest} from '../../../src/lib/instances/wake-request.js'
import {exitCodeOfWake, wake} from '../../../src/lib/instances/wake.js'
import {offer, SPEC} from './fake-vendor.js'
import {openOperatorMemory} from '../../../src/lib/snapshots/operator-memory.js'
import {openRepository} from '../../../src/lib/store/repository.js'
import {hibernateRequest, InstanceWorld, wakeRequest} from './instance-world.js'

let world: InstanceWorld
let id: string

beforeEach(async () => {
  world = await new InstanceWorld().open()
  id = world.addBox()
  world.vendor.offers = [
    offer('a'),
    offer('b', {hourly: 0.36}),
    offer('c', {hourly: 0.37}),
    offer('d', {hourly: 0.38}),
  ]
})
afterEach(() => world.close())

const sleepOn = (goal: 'destroy' | 'protect' | 'stop' = 'destroy') =>
  hibernate(hibernateRequest(id, {goal}), {parts: world.hibernateParts(), service: world.service()})
const run = (changes: Partial<WakeRequest> = {}, what = id, owner = world.owner()) =>
  wake(wakeRequest(what, changes), {parts: world.wakeParts(), service: world.service(owner)})
const recordOf = (of = id) => readRecord(world.store, {provider: 'vast', account: '4711', id: of})
const live = () => world.vendor.live().map((one) => one.id)

describe('waking', () => {
  test('rents the best offer, restores, and hands the machine over', async () => {
    const {snapshot} = await sleepOn()
    const result = await run()
    const [machine] = result.machines
    expect(result).toMatchObject({kind: 'woken', leaks: [], failures: [], snapshot: snapshot.id})
    expect(exitCodeOfWake(result)).toBe(0)
    expect(machine).toMatchObject({
      host: `box-${machine?.instance.id}`,
      hourly: 0.35,
      name: `vast:${id}`,
    })
    expect(world.box(machine?.instance.id ?? '').restored).toBe(snapshot.id)
    expect(live()).toEqual([machine?.instance.id])
    expect(await recordOf()).toMatchObject({
      state: 'woken',
      claims: [],
      successors: [{id: machine?.instance.id}],
    })
    expect(await recordOf(machine?.instance.id)).toMatchObject({state: 'running', from: {id}})
  })

  test('refuses an older snapshot when the store hides the newest that this machine has seen', async () => {
    const {snapshot} = await sleepOn()
    const {lineage, sequence} = snapshot
    const repository = await openRepository(world.store, {create: false})
    const memory = openOperatorMemory(world.service().stateDir, repository?.id ?? '?')
    const seen = {label: 'x', lineage, sequence: sequence + 1, snapshot: '20991231T000000Z-hidden'}
    await memory.remember(seen)
    await expect(run()).rejects.toMatchObject({
      code: 'INSTANCE_BUSY',
      message: expect.stringContaining(seen.snapshot),
    })
    expect(live()).toEqual([])
    expect((await run({snapshot: snapshot.id, fork: true})).kind).toBe('woken')
  })

  test('by the id of the snapshot is the same as by the instance', async () => {
    const {snapshot} = await sleepOn()
    expect((await run({}, snapshot.id)).kind).toBe('woken')
    expect((await recordOf())?.state).toBe('woken')
  })

  test('gives its label to the vendor only after store and disk have it', async () => {
    await sleepOn()
    let known: unknown
    const service = world.service()
    const {provider} = service
    await wake(wakeRequest(id), {
      parts: world.wakeParts(),
      service: {
        ...service,
        provider: {
          ...provider,
          create: async (taken, request, signal) => {
            const claims = (await recordOf())?.claims ?? []
            const folder = join(world.stateDir, readdirSync(world.stateDir)[0] ?? '', 'instances')
            known = [
              claims.map(({label}) => label),
              readFileSync(join(folder, `${request.label}.log`), 'utf8').includes('creating'),
            ]
            expect(request.label).toMatch(/^dumont-vast-1001-[0-9a-f]{16}$/)
            expect(known).toEqual([[request.label], true])
            return (await provider.create?.(taken, request, signal)) ?? {id: ''}
          },
        },
      },
    })
    expect(known).toBeDefined()
  })

  test('is refused while the old box runs, with a hint at --fork', async () => {
    await sleepOn('protect')
    await expect(run()).rejects.toMatchObject({
      code: 'INSTANCE_BUSY',
      hint: expect.stringContaining('--fork'),
    })
    expect(world.vendor.creates).toEqual([])
  })

  test('starts a stopped box and restores nothing', async () => {
    await sleepOn('stop')
    const result = await run()
    expect(result).toMatchObject({
      kind: 'started',
      machines: [{instance: {id}, restored: undefined}],
    })
    expect(world.vendor.creates).toEqual([])
    expect((await recordOf())?.state).toBe('running')
  })

  test('is refused while what was woken before exists', async () => {
    await sleepOn()
    await run()
    await expect(run()).rejects.toMatchObject({code: 'INSTANCE_BUSY'})
    expect(live()).toHaveLength(1)
  })

  test('makes a second copy of a named snapshot with --fork, under a name of its own', async () => {
    const {snapshot} = await sleepOn('protect')
    const result = await run({snapshot: snapshot.id, fork: true})
    expect(result.machines[0]?.name).toMatch(/^vast:1001\.[0-9a-f]{8}$/)
    expect((await recordOf())?.state).toBe('protected')
    expect(live()).toHaveLength(2)
  })

  test('never with another account, which sees nothing of the old box', async () => {
    await sleepOn('protect')
    world.vendor.account = '99'
    await expect(run()).rejects.toMatchObject({code: 'SNAPSHOT_UNKNOWN'})
    expect(world.vendor.creates).toEqual([])
  })

  test('asks for the values that are not stored, by name', async () => {
    await sleepOn()
    await expect(run({env: {}})).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('HF_TOKEN'),
      hint: expect.stringContaining('--env-file'),
    })
  })

  test('pays at most a quarter more than before', async () => {
    await sleepOn()
    world.vendor.offers = [offer('x', {hourly: 0.51})]
    await expect(run()).rejects.toMatchObject({code: 'VENDOR_BUSY'})
    expect((await run({maxHourly: 0.6})).kind).toBe('woken')
  })

  test('spends no more than --max-spend', async () => {
    await sleepOn()
    await expect(run({maxSpend: 0.1})).rejects.toMatchObject({code: 'USAGE'})
    expect(world.vendor.creates).toEqual([])
  })

  test('with --dry-run says what it would do', async () => {
    await sleepOn()
    const result = await run({dryRun: true})
    expect(result).toMatchObject({kind: 'planned', machines: []})
    expect(result.plan?.offers[0]?.because).toMatch(/^Cheapest in all/)
    expect(world.vendor.creates).toEqual([])
  })

  test('rents nothing when the operator does not agree', async () => {
    await sleepOn()
    await expect(run({confirm: async () => false})).rejects.toMatchObject({code: 'INTERRUPTED'})
    expect(world.vendor.creates).toEqual([])
  })

  test('takes the next offer when one is gone, without counting a round', async () => {
    await sleepOn()
    world.vendor.fault = (operation, count) =>
      operation === 'create' && count <= 3 ? 'OFFER_GONE' : undefined
    expect((await run()).machines[0]?.hourly).toBe(0.38)
    expect((await recordOf())?.claims).toEqual([])
  })

  test('adopts what a create without an answer has made, and rents no second', async () => {
    await sleepOn()
    world.vendor.fault = (operation, count) =>
      operation === 'create' && count === 1 ? 'lost-reply' : undefined
    const result = await run()
    expect(world.vendor.creates).toHaveLength(1)
    expect(result.machines[0]?.instance.id).toBe(world.vendor.creates[0])
  })

  test('goes on when a create without an answer has made nothing', async () => {
    await sleepOn()
    world.vendor.fault = (operation, count) =>
      operation === 'create' && count === 1 ? 'AMBIGUOUS' : undefined
    const result = await run()
    expect(result.machines).toHaveLength(1)
    expect(live()).toHaveLength(1)
    // It may yet show up: until its deadline every command looks for it.
    expect((await recordOf())?.claims).toMatchObject([{id: null}])
    await world.clock.sleep(3_600_000)
    await reconcile(world.service())
    expect((await recordOf())?.claims).toEqual([])
  })

  test('destroys what shows up late after a create without an answer', async () => {
    await sleepOn()
    world.vendor.fates = [{lag: 150_000}]
    world.vendor.fault = (operation, count) =>
      operation === 'create' && count === 1 ? 'lost-reply' : undefined
    const result = await run()
    expect(world.vendor.creates).toHaveLength(2)
    expect(live()).toEqual([result.machines[0]?.instance.id])
    expect(world.vendor.destroyed).toContainEqual({id: world.vendor.creates[0], kind: 'stillborn'})
  })

  test.each([
    ['fails to boot', {phases: ['starting', 'failed'] as const}],
    ['never runs', {phases: ['starting'] as const}],
    ['says nothing', {phases: ['provisioning'] as const}],
    ['is stopped by its vendor', {phases: ['starting', 'stopped'] as const}],
    ['has a lost host', {phases: ['starting', 'unreachable'] as const}],
    ['is of a state nobody knows', {phases: ['unknown'] as const}],
    ['has another GPU', {spec: {gpuName: 'RTX 3090'}}],
    ['has fewer GPUs', {spec: {gpuCount: 0}}],
    ['has less disk', {spec: {diskGB: 20}}],
    ['costs more than offered', {hourly: 0.9}],
    ['is of another market', {spec: {market: {kind: 'spot' as const, bid: 0.1}}}],
    [
      'tells of an image that is not there',
      {phases: ['starting'] as const, message: 'manifest for x not found'},
    ],
  ])('gives back a machine that %s and takes the next', async (_, fate) => {
    await sleepOn()
    world.vendor.fates = [fate]
    const result = await run()
    expect(world.vendor.creates).toHaveLength(2)
    expect(world.vendor.destroyed).toContainEqual({id: world.vendor.creates[0], kind: 'stillborn'})
    expect(live()).toEqual([result.machines[0]?.instance.id])
    expect(result.wasted).toBeGreaterThanOrEqual(0)
  })

  test('a machine that cannot be reached, is of no use, or breaks while it is restored goes back', async () => {
    await sleepOn()
    const [first, second] = ['1002', '1003']
    world.probe = async ({instance}) =>
      instance.id === first
        ? {kind: 'closed', why: 'Permission denied (publickey)'}
        : {kind: 'open', host: `box-${instance.id}`}
    world.inspect = async ({instance}) =>
      instance.id === second ? 'its GPU does not work (error 802)' : undefined
    const result = await run()
    expect(world.vendor.destroyed.map((one) => one.id)).toEqual([id, first, second])
    expect(result.machines[0]?.instance.id).toBe('1004')
  })

  test('ends after three machines and leaves none', async () => {
    await sleepOn()
    world.restoreFault = () => new DumontError('UNREACHABLE', 'lost')
    await expect(run()).rejects.toMatchObject({
      code: 'VENDOR_BUSY',
      message: expect.stringContaining('3 machines failed'),
    })
    expect(world.vendor.creates).toHaveLength(3)
    expect(live()).toEqual([])
    expect((await recordOf())?.claims).toEqual([])
  })

  test('does not try a damaged snapshot on another machine', async () => {
    await sleepOn()
    world.restoreFault = () => new DumontError('INTEGRITY', 'the index is damaged')
    await expect(run()).rejects.toMatchObject({code: 'INTEGRITY'})
    expect(world.vendor.creates).toHaveLength(1)
    expect(live()).toEqual([])
  })

  test('rents nothing more when a failed machine cannot be given back, and names it', async () => {
    await sleepOn()
    world.vendor.fates = [{phases: ['failed']}]
    world.vendor.fault = (operation) => (operation === 'destroy' ? 'TRANSPORT' : undefined)
    await expect(run()).rejects.toMatchObject({
      message: expect.stringContaining('1002 labelled dumont-'),
    })
    expect(world.vendor.creates).toEqual(['1002'])
    expect((await recordOf())?.claims).toMatchObject([{id: '1002'}])
  })

  test('names a bid that was too low and left a stopped contract, by ending it', async () => {
    await sleepOn()
    const service = world.service()
    const {provider} = service
    let asked = 0
    const parts = world.wakeParts()
    const create: typeof provider.create = async (taken, request, signal) => {
      const made = await provider.create?.(taken, request, signal)
      if (!made || (asked += 1) > 1) return made ?? {id: ''}
      const {ProviderError} = await import('../../../src/lib/providers/provider-error.js')
      throw new ProviderError('BID_TOO_LOW', {provider: 'vast', operation: 'create'}, 'too low', {
        createdId: made.id,
      })
    }
    const result = await wake(wakeRequest(id), {
      parts,
      service: {...service, provider: {...provider, create}},
    })
    expect(live()).toEqual([result.machines[0]?.instance.id])
    expect(world.vendor.destroyed).toContainEqual({id: world.vendor.creates[0], kind: 'stillborn'})
  })

  test('a ready hook that fails leaves the box up', async () => {
    await sleepOn()
    world.hookCode = 1
    const result = await run({readyHook: 'start-training'})
    expect(result.machines[0]?.hookFailure).toContain('ready hook')
    expect(exitCodeOfWake(result)).toBe(3)
    expect(live()).toHaveLength(1)
  })

  test('waits until the vendor’s image has set itself up', async () => {
    await sleepOn()
    world.provisioning = 3
    expect((await run()).machines[0]?.seconds['provision']).toBe(30)
  })

  test('an interruption names what is rented, and the same command goes on with it', async () => {
    await sleepOn()
    const stop = new AbortController()
    world.restoreFault = () => {
      stop.abort(new DumontError('INTERRUPTED', 'interrupted'))
      return new DumontError('INTERRUPTED', 'interrupted')
    }
    await expect(
      wake(wakeRequest(id), {parts: world.wakeParts(), service: world.service()}, stop.signal),
    ).rejects.toMatchObject({code: 'INTERRUPTED', message: expect.stringContaining('1002')})
    world.restoreFault = undefined
    const result = await run({}, id, world.owner('aaaa.2'))
    expect(result.machines[0]?.instance.id).toBe('1002')
    expect(world.vendor.creates).toEqual(['1002'])
  })

  test('a machine that is there is gone on with although nothing is on offer any more', async () => {
    await sleepOn()
    const stop = new AbortController()
    world.restoreFault = () => {
      stop.abort(new DumontError('INTERRUPTED', 'interrupted'))
      return new DumontError('INTERRUPTED', 'interrupted')
    }
    await expect(
      wake(wakeRequest(id), {parts: world.wakeParts(), service: world.service()}, stop.signal),
    ).rejects.toThrow()
    world.restoreFault = undefined
    const service = world.service(world.owner('aaaa.2'))
    const search = async () => {
      throw new DumontError('VENDOR', 'the vendor searches nothing today')
    }
    const provider = Object.create(service.provider, {search: {value: search}})
    const result = await wake(wakeRequest(id), {
      parts: world.wakeParts(),
      service: {...service, provider},
    })
    expect(result.machines[0]?.instance.id).toBe('1002')
    expect(result.plan).toBeUndefined()
  })

  test('waits for another operator’s wake, and takes over when its time is up', async () => {
    await sleepOn()
    const stop = new AbortController()
    world.restoreFault = () => {
      stop.abort(new DumontError('INTERRUPTED', 'interrupted'))
      return new DumontError('INTERRUPTED', 'interrupted')
    }
    const other = world.owner('bbbb.1')
    await expect(
      wake(wakeRequest(id), {parts: world.wakeParts(), service: world.service(other)}, stop.signal),
    ).rejects.toThrow()
    world.restoreFault = undefined
    await expect(run()).rejects.toMatchObject({code: 'INSTANCE_BUSY'})
    await world.clock.sleep(13 * 3_600_000)
    expect((await run()).machines[0]?.instance.id).toBe('1002')
    expect(world.vendor.creates).toEqual(['1002'])
  })

  test('a wake that is left open is named by every later command', async () => {
    await sleepOn()
    const stop = new AbortController()
    world.restoreFault = () => {
      stop.abort(new DumontError('INTERRUPTED', 'interrupted'))
      return new DumontError('INTERRUPTED', 'interrupted')
    }
    await wake(
      wakeRequest(id),
      {parts: world.wakeParts(), service: world.service()},
      stop.signal,
    ).catch(() => undefined)
    const {leaks} = await reconcile(world.service(world.owner('aaaa.2')))
    expect(leaks).toMatchObject([{id: '1002', hourly: 0.35}])
    expect(live()).toEqual(['1002'])
  })

  test('--count makes children of a parent that stays as it is', async () => {
    await sleepOn()
    const result = await run({count: 3})
    expect(result.machines).toHaveLength(3)
    expect(new Set(result.machines.map(({name}) => name)).size).toBe(3)
    expect(await recordOf()).toMatchObject({
      state: 'hibernated',
      claims: [],
      successors: [{}, {}, {}],
    })
  })

  test('--count leaves the ready ones when one fails, and says so', async () => {
    await sleepOn()
    world.vendor.fault = (operation, count) =>
      operation === 'create' && count === 2 ? 'CREDIT' : undefined
    const result = await run({count: 3})
    expect(result.machines).toHaveLength(2)
    expect(result.failures).toHaveLength(1)
    expect(exitCodeOfWake(result)).toBe(3)
    expect(live()).toHaveLength(2)
  })

  test('--host refuses a root that holds something, and restores with --overwrite', async () => {
    const {snapshot} = await sleepOn()
    world.vendor.addBox()
    const mine = world.vendor.contracts.at(-1)?.id ?? ''
    world.box(mine).content = 'mine'
    await expect(run({host: `box-${mine}`})).rejects.toMatchObject({code: 'TARGET_UNWRITABLE'})
    expect((await run({host: `box-${mine}`, overwrite: true})).kind).toBe('restored')
    expect(world.box(mine).restored).toBe(snapshot.id)
    expect(world.vendor.creates).toEqual([])
  })

  test('stores neither values nor keys', async () => {
    await sleepOn()
    await run()
    const stored: string[] = []
    for await (const {key} of world.store.list('instances/'))
      stored.push(Buffer.from(await world.store.get(key)).toString())
    const folder = join(world.stateDir, readdirSync(world.stateDir)[0] ?? '', 'instances')
    for (const file of readdirSync(folder)) stored.push(readFileSync(join(folder, file), 'utf8'))
    expect(stored.length).toBeGreaterThan(4)
    expect(stored.join('')).not.toMatch(/hf_very_secret|ssh-ed25519/)
    expect(stored.join('')).toContain('HF_TOKEN')
    expect(SPEC.envNames).toEqual(['HF_TOKEN'])
  })
})
