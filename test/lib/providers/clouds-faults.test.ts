import {describe, expect, test} from '@jest/globals'
import type {Instance, Offer, Provider} from '../../../src/lib/providers/provider.js'
import {isProviderError} from '../../../src/lib/providers/provider-error.js'
import type {FakeVendor} from '../../support/fake-vendor.js'
import {LAMBDA_KEY, noCapacity, TYPE} from '../../support/lambda/fake-lambda.js'
import {useLambda} from '../../support/lambda/use-lambda.js'
import {offerOf, specOf} from '../../support/offers.js'
import {GPU, RUNPOD_KEY} from '../../support/runpod/fake-runpod.js'
import {problem} from '../../support/runpod/replies.js'
import {useRunpod} from '../../support/runpod/use-runpod.js'
import {BROKEN, type Fault} from '../../support/vast/faults.js'
import {proofFor} from '../../support/vendor-proof.js'

const ROUNDS = 25
const ENDPOINTS = ['create', 'destroy', 'get', 'list', 'keys', undefined]

/** One vendor, as the rounds below see it. */
interface Stage {
  readonly provider: Provider
  readonly vendor: FakeVendor
  readonly offer: Offer
  readonly key: string
  readonly now: () => number
  /** What is there and costs. */
  readonly alive: () => readonly string[]
  readonly ownFaults: readonly Fault[]
}

describe('whatever goes wrong, in whatever order', () => {
  const runpod = useRunpod()
  const lambda = useLambda()
  const shortOfCapacity =
    'There are no longer any instances available with the requested specifications.'

  const stages: Readonly<Record<'lambda' | 'runpod', () => Stage>> = {
    runpod: () => ({
      provider: runpod.open(RUNPOD_KEY, 200),
      vendor: runpod.fake.server,
      offer: offerOf({id: `SECURE/US-TX-3/${GPU}`}),
      key: RUNPOD_KEY,
      now: () => runpod.clock.now(),
      alive: () => runpod.fake.alive.map(({id}) => id),
      ownFaults: [
        {kind: 'reply', reply: problem(500, 'Error', shortOfCapacity)},
        {kind: 'reply', reply: problem(403, 'Forbidden', `no rights for ${RUNPOD_KEY}`)},
        {kind: 'reply', reply: problem(429, 'Too Many Requests', 'slow down')},
      ],
    }),
    lambda: () => ({
      provider: lambda.open(LAMBDA_KEY, 200),
      vendor: lambda.fake.server,
      offer: offerOf({id: `${TYPE}@us-east-1`}),
      key: LAMBDA_KEY,
      now: () => lambda.clock.now(),
      alive: () => lambda.fake.alive.map(({id}) => id),
      ownFaults: [
        {kind: 'reply', reply: noCapacity()},
        {kind: 'reply', reply: {status: 429, body: 'Too Many Requests'}},
      ],
    }),
  }

  test.each(['runpod', 'lambda'] as const)(
    'at %s nothing is rented twice, lost, ended without proof or told that is secret',
    async (name) => {
      let seed = 23
      const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
      const stage = stages[name]()
      for (let round = 0; round < ROUNDS; round++) {
        spoil(stage, random)
        await rentAndEnd(stage, `dumont-box-${round}`, random)
      }
      expect(stage.vendor.to('unknown')).toEqual([])
      expect(lambda.fake.hasty).toBe(0)
    },
  )
})

/** One to three faults, each of which strikes once or twice. */
function spoil({ownFaults, vendor}: Stage, random: () => number): void {
  vendor.faults.clear()
  const faults: readonly Fault[] = [
    {kind: 'reset'},
    {kind: 'reset', after: true},
    {kind: 'truncate'},
    ...Object.values(BROKEN).map((reply) => ({kind: 'reply', reply}) as const),
    {kind: 'reply', reply: BROKEN.gateway, after: true},
    ...ownFaults,
  ]
  const pick = <T>(all: readonly T[]) => all[Math.floor(random() * all.length)] as T
  for (let count = 0; count < 1 + random() * 3; count++) {
    const endpoint = pick(ENDPOINTS)
    vendor.faults.inject({
      fault: pick(faults),
      times: random() < 0.7 ? 1 : 2,
      skip: random() < 0.7 ? 0 : 1,
      ...(endpoint !== undefined && {endpoint}),
    })
  }
}

async function rentAndEnd(stage: Stage, label: string, random: () => number): Promise<void> {
  const {alive, key, now, offer, provider, vendor} = stage
  const before = vendor.to('create').length
  const spec = specOf({image: 'image'})
  const created = await provider
    .create?.(offer, {spec, label, publicKeys: ['ssh-ed25519 AAAA me'], env: {}})
    .catch(asFailure)
  const sent = vendor.to('create').slice(before)
  // Only a request that the vendor refused to look at is sent again.
  expect(sent.slice(0, -1).every(({status}) => status === 429)).toBe(true)
  expect(alive().length).toBeLessThanOrEqual(1)
  if (isProviderError(created)) {
    expect(created.message).not.toContain(key)
    if (alive().length > 0) expect(created.failure).toBe('AMBIGUOUS')
  }
  vendor.faults.clear()
  const left: readonly Instance[] = await provider.list({label})
  const own = left.filter(({phase}) => phase !== 'gone')
  expect(own.map(({id}) => id)).toEqual(alive())
  for (const {id} of own) {
    const destroy = () => provider.destroy?.(id, proofFor(provider.name, id, now()))
    spoil(stage, random)
    const ended = await destroy()?.catch(asFailure)
    if (ended === undefined) expect(alive()).toEqual([])
    else expect(ended.message).not.toContain(key)
    vendor.faults.clear()
    await destroy()
  }
  expect(alive()).toEqual([])
}

function asFailure(error: unknown) {
  if (isProviderError(error)) return error
  throw error
}
