import {afterEach, beforeEach, expect, test} from '@jest/globals'
import {DumontError} from '../../../src/lib/errors.js'
import {readManifest} from '../../../src/lib/snapshots/manifests.js'
import type {BoxService} from '../../../src/lib/snapshots/service.js'
import {verifyByBox} from '../../../src/lib/snapshots/verify-by-box.js'
import {ScriptedWorker} from '../../support/scripted-worker.js'
import {benchTop, REPOSITORY, type BenchTop} from './bench-top.js'

let bench: BenchTop
let id: string
/** Ranges that were asked for, connection by connection. */
let asked: unknown[]
beforeEach(async () => {
  bench = await benchTop()
  // Two packs: one of its own, one inherited.
  await bench.create()
  bench.bends.files = {...bench.bends.files, c: 'cherry'}
  id = (await bench.create()).id ?? ''
  asked = []
})
afterEach(() => bench.remove())

type Act = (worker: ScriptedWorker, to: number) => void

/** Verifies on a box that does one of these on each connection. */
async function verify(acts: readonly Act[], again = false) {
  let opened = 0
  const service: BoxService = {
    ...bench.service,
    // A wait between connections is as long as it takes to say that there is one.
    report: (event) => {
      if (event.kind === 'note') setImmediate(() => void bench.clock.advance(1000))
    },
    openSession: async () => {
      const act = acts[opened++]
      if (!act) throw new DumontError('UNREACHABLE', 'no more connections')
      const worker = new ScriptedWorker().greet()
      const heard = worker.hears('verify').then((request) => {
        const {id: to, ranges} = request as unknown as {id: number; ranges: unknown}
        asked.push(ranges)
        return act(worker, to)
      })
      heard.catch(() => {})
      const session = worker.session()
      return {...session, exec: () => Promise.reject(new DumontError('UNREACHABLE', 'gone'))}
    },
  }
  const request = {
    again,
    choice: {kind: 'all'},
    host: 'root@gpu1',
    level: 'stored',
    parts: 4,
    snapshots: [await readManifest(bench.store, id)],
    unreadable: [],
  } as const
  return verifyByBox(request, {repository: REPOSITORY, service})
}

const checked = (worker: ScriptedWorker, ...packs: number[]) => {
  for (const pack of packs)
    void worker.say({type: 'checked', pack, reason: null, chunks: [], bases: []})
}
const ending: (...packs: number[]) => Act =
  (...packs) =>
  (worker, to) => {
    checked(worker, ...packs)
    void worker.say({type: 'result', to, packs: 2, bytes: 1, besides: 0, seconds: 1})
  }
const cutOff: Act = (worker, to) => {
  checked(worker, 0)
  void worker.say({type: 'error', to, code: 'UNREACHABLE', message: 'the connection was lost'})
}

test('a box reads all packs, and the result is its word', async () => {
  const result = await verify([ending(0, 1)])
  expect(result).toMatchObject({asserted: true, packs: 2, packsRead: 2})
  expect(asked).toEqual([[[0, 1]]])
})

test.each([false, true])('a lost connection costs no pack twice (--again: %s)', async (again) => {
  const result = await verify([cutOff, ending(1)], again)
  expect(asked).toEqual([[[0, 1]], [[1, 1]]])
  expect(result.packsEarlier).toBe(1)
})

test('damage that a box tells is damage, and no proof is kept of it', async () => {
  const damaging: Act = (worker, to) => {
    checked(worker, 1)
    void worker.say({type: 'checked', pack: 0, reason: 'missing', chunks: null, bases: []})
    void worker.say({type: 'result', to, packs: 2, bytes: 1, besides: 0, seconds: 1})
  }
  const {snapshots} = await verify([damaging])
  expect(snapshots[0]?.damaged).toMatchObject([{reason: 'missing'}])
  await bench.clock.advance(1000)
  await verify([ending(0, 1)])
  expect(asked).toEqual([[[0, 1]], [[0, 1]]])
})
