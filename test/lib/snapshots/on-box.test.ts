import {afterEach, beforeEach, expect, test} from '@jest/globals'
import {DumontError} from '../../../src/lib/errors.js'
import type {ConnectedBox} from '../../../src/lib/snapshots/connect-worker.js'
import {onBox} from '../../../src/lib/snapshots/on-box.js'
import type {BoxService} from '../../../src/lib/snapshots/service.js'
import {MemoryStore} from '../../../src/lib/store/memory-store.js'
import type {Store} from '../../../src/lib/store/store.js'
import {benchTop, type BenchTop} from './bench-top.js'

let bench: BenchTop
/** How many connections, from the first on, no longer answer once the work on them has failed. */
let dead: number
let opened: number
beforeEach(async () => {
  bench = await benchTop()
  dead = 0
  opened = 0
})
afterEach(() => bench.remove())

const unreachable = () => new DumontError('UNREACHABLE', 'the connection is gone')

function service(): BoxService {
  return {
    ...bench.service,
    openSession: async (host, signal) => {
      const session = await bench.service.openSession(host, signal)
      opened += 1
      return opened > dead ? session : {...session, exec: () => Promise.reject(unreachable())}
    },
  }
}

/** Runs with time passing as fast as anybody waits for it. */
async function run(
  work: (box: ConnectedBox) => Promise<string>,
  signal?: AbortSignal,
  on = service(),
) {
  const running = onBox('root@gpu1', on, work, signal)
  const state = {ended: false}
  const end = () => {
    state.ended = true
  }
  running.then(end, end)
  while (!state.ended) await bench.clock.advance(1000)
  return running
}

test('work goes on over a new connection when the old one is lost', async () => {
  dead = 2
  const rounds: number[] = []
  const result = await run(async () => {
    rounds.push(opened)
    if (rounds.length < 3) throw unreachable()
    return 'done'
  })
  expect(result).toBe('done')
  expect(rounds).toEqual([1, 2, 3])
  expect(bench.notes()).toEqual([
    'the connection was lost; trying again in 1 s',
    'the connection was lost; trying again in 2 s',
  ])
})
test('a store that cannot be reached is no lost connection', async () => {
  await expect(run(async () => Promise.reject(unreachable()))).rejects.toMatchObject({
    code: 'UNREACHABLE',
  })
  expect(opened).toBe(1)
})
test('a lock that the lost worker still holds is waited for', async () => {
  dead = 1
  const failures = [unreachable(), new DumontError('LOCKED', 'another run holds it')]
  const work = async () => {
    const failure = failures.shift()
    if (failure !== undefined) throw failure
    return 'done'
  }
  expect(await run(work)).toBe('done')
})
test('a lock that somebody else holds is not waited for', async () => {
  const work = () => Promise.reject(new DumontError('LOCKED', 'another run holds it'))
  await expect(run(work)).rejects.toMatchObject({code: 'LOCKED'})
  expect(opened).toBe(1)
})
test('a connection that never holds is given up', async () => {
  dead = 99
  await expect(run(() => Promise.reject(unreachable()))).rejects.toMatchObject({
    code: 'UNREACHABLE',
  })
  expect(opened).toBe(7)
})
test('work that failed with a tunnel goes on over new connections, though the box answers', async () => {
  const gateway = new MemoryStore({clock: bench.clock}).gateway
  const store: Store = Object.assign(Object.create(bench.store), {gateway, reach: 'tunnel'})
  let lose = (_error: Error) => {}
  const openSession = async (host: string, signal?: AbortSignal) => {
    const session = await bench.service.openSession(host, signal)
    const forward = async () => ({port: 1, close: async () => {}})
    opened += 1
    if (opened !== 2) return {...session, forward}
    const lost = new Promise<never>((_resolve, reject) => (lose = reject))
    return {...session, forward, lost}
  }
  const work = async (box: ConnectedBox) => {
    if (opened > 2) return 'done'
    expect(box.isCut()).toBe(false)
    lose(unreachable())
    await bench.clock.advance(0)
    expect(box.isCut()).toBe(true)
    throw unreachable()
  }
  expect(await run(work, undefined, {...service(), openSession, store, tunnels: 1})).toBe('done')
  expect(opened).toBe(4)
})
test('an interruption ends the waiting', async () => {
  dead = 99
  const interruption = new AbortController()
  const work = async () => {
    interruption.abort(new DumontError('INTERRUPTED', 'interrupted'))
    throw unreachable()
  }
  await expect(run(work, interruption.signal)).rejects.toMatchObject({code: 'UNREACHABLE'})
  expect(opened).toBe(1)
})
