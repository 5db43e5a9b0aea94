import {randomBytes} from 'node:crypto'
import {expect, test} from '@jest/globals'
import {checkRate} from '../../../src/lib/checkup/check-rate.js'
import {DumontError} from '../../../src/lib/errors.js'
import type {ConnectedBox} from '../../../src/lib/snapshots/connect-worker.js'
import {MemoryStore} from '../../../src/lib/store/memory-store.js'
import type {SignRequest} from '../../../src/lib/store/store.js'
import type {RateRequest} from '../../../src/lib/worker/requests.js'
import type {RateResult} from '../../../src/lib/worker/results.js'
import {ManualClock} from '../../support/manual-clock.js'

/** What a look finds when the box does this with what it is given, and what is in the store then. */
async function looked(act: (request: RateRequest, store: MemoryStore) => Promise<RateResult>) {
  const store = new MemoryStore({clock: new ManualClock()})
  const asked: SignRequest[] = []
  const box = {
    reach: {
      sign: async (request: SignRequest) => {
        asked.push(request)
        return {headers: {}, method: request.method, url: `http://store/${request.key}`}
      },
    },
    worker: {rate: (request: RateRequest) => act(request, store)},
  } as unknown as ConnectedBox
  const service = {random: randomBytes, store}
  const findings = await checkRate(box, {pin: 'crc32', service})
  const left: string[] = []
  for await (const {key} of store.list('')) left.push(key)
  return {asked, findings, left}
}

test('both rates are told, and a few MB are enough', async () => {
  const {asked, findings} = await looked(async () => ({down: 200e6, up: 100e6}))
  expect(findings).toMatchObject([
    {state: 'good', what: 'uplink'},
    {state: 'good', what: 'downlink'},
  ])
  const sent = asked.flatMap((one) => (one.method === 'PUT' ? [one.length] : []))
  expect(sent.reduce((sum, length) => sum + length, 0)).toBeLessThanOrEqual(20e6)
})

test('a slow link is worth a note that says what it means', async () => {
  const {findings} = await looked(async () => ({down: null, up: 100_000}))
  expect(findings).toMatchObject([
    {remedy: expect.stringContaining('hours'), state: 'note', what: 'uplink'},
  ])
})

test.each([
  ['works', async () => ({down: 1, up: 1})],
  [
    'fails',
    async () => {
      throw new DumontError('UNREACHABLE', 'cannot be reached')
    },
  ],
])('nothing is left behind when it %s', async (_, end) => {
  const {left} = await looked(async ({puts}, store) => {
    for (const {key} of puts) await store.put(key, Buffer.from('x'))
    return end()
  })
  expect(left).toEqual([])
})

test('a failure is a finding', async () => {
  const {findings} = await looked(async () => {
    throw new DumontError('ACCESS_DENIED', 'the store refused an upload')
  })
  expect(findings).toMatchObject([{exitCode: 77, state: 'bad', what: 'rate'}])
})
