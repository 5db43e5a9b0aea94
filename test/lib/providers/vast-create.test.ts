import {describe, expect, test} from '@jest/globals'
import type {CreateRequest, Offer} from '../../../src/lib/providers/provider.js'
import {orderOf, spec4090, vastClient, withVast} from '../../support/vast/client.js'
import {BROKEN, TOO_OFTEN} from '../../support/vast/faults.js'
import {offerRow} from '../../support/vast/offers.js'

const offer = {id: '101'} as Offer

describe('renting', () => {
  test('asks for what was searched, straight to the machine, and for nothing if it cannot run (3)', () =>
    withVast({}, async (fake, client) => {
      const spec = spec4090({ports: ['22/tcp', '8080/tcp', '9000/udp'], templateId: 'abc'})
      const request = orderOf({
        spec,
        env: {HF_TOKEN: 'hf_secret'},
        onstart: 'touch ~/.no_auto_tmux',
      })
      const {id} = await client.create(offer, request)
      expect(id).toBe(String(fake.only().id))
      expect(fake.only().order).toEqual({
        client_id: 'me',
        image: 'vastai/pytorch:2.6',
        template_hash_id: 'abc',
        env: {'-p 8080:8080': '1', '-p 9000:9000/udp': '1', HF_TOKEN: 'hf_secret'},
        disk: 100,
        label: 'dumont-main-1',
        runtype: 'ssh_direct',
        cancel_unavail: true,
        target_state: 'running',
        onstart: 'touch ~/.no_auto_tmux',
      })
      expect(fake.violations).toEqual([])
    }))

  test('bids only for spot, and what was rented can be read back (20)', () =>
    withVast({}, async (fake, client) => {
      const spec = spec4090({market: {kind: 'spot', bid: 0.2}})
      const {id} = await client.create(offer, orderOf({spec}))
      expect(fake.only().order).toMatchObject({price: 0.2})
      expect((await client.get(id)).spec.market).toEqual({kind: 'spot', bid: 0.2})
    }))

  test('an offer found by bid but rented without one shows as on demand (20)', () =>
    withVast({}, async (_, client) => {
      const [found] = await client.search(spec4090({market: {kind: 'spot', bid: 0.2}}))
      const {id} = await client.create(found as Offer, orderOf())
      expect((await client.get(id)).spec.market).toEqual({kind: 'on-demand'})
    }))

  test('a price that rose since the search shows in the record (18)', () =>
    withVast({}, async (fake, client) => {
      const [found] = await client.search(spec4090())
      fake.beforeCreate = () => {
        fake.offers = fake.offers.map((one) => ({...one, dph_base: 2}))
      }
      const {id} = await client.create(found as Offer, orderOf())
      expect((await client.get(id)).hourly).toBeGreaterThan(2)
    }))
})

describe('limits are kept before anything is sent', () => {
  test.each<[string, Partial<CreateRequest>]>([
    ['no image', {spec: spec4090({image: ''})}],
    ['a long image', {spec: spec4090({image: 'x'.repeat(1025)})}],
    ['a small disk', {spec: spec4090({diskGB: 7})}],
    ['no disk', {spec: spec4090({diskGB: Number.NaN})}],
    ['a bid of nothing', {spec: spec4090({market: {kind: 'spot', bid: 0}})}],
    ['a huge bid', {spec: spec4090({market: {kind: 'spot', bid: 129}})}],
    ['a port that is none', {spec: spec4090({ports: ['8080:80 --privileged']})}],
    ['no label', {label: ''}],
    ['a long label', {label: 'x'.repeat(257)}],
    ['a long start script', {onstart: 'x'.repeat(4097)}],
    ['a variable with a blank', {env: {'-v /:/host': '1'}}],
    ['a long value', {env: {A: 'x'.repeat(257)}}],
    [
      'too much of everything',
      {env: Object.fromEntries(Array.from({length: 200}, (_, i) => [`N${i}`, 'x'.repeat(200)]))},
    ],
  ])('%s', (_, change) =>
    withVast({}, async (fake, client) => {
      await expect(client.create(offer, orderOf(change))).rejects.toMatchObject({
        failure: 'INVALID',
      })
      expect(fake.requests).toEqual([])
    }),
  )

  test('an offer whose id is no number', () =>
    withVast({}, async (fake, client) => {
      const odd = {...offer, id: '1/../../instances/5'}
      await expect(client.create(odd, orderOf())).rejects.toMatchObject({failure: 'INVALID'})
      expect(fake.requests).toEqual([])
    }))
})

describe('offers that are gone (17)', () => {
  test('taken between search and create', () =>
    withVast({}, async (fake, client) => {
      const [found] = await client.search(spec4090())
      fake.beforeCreate = () => {
        fake.offers = []
      }
      await expect(client.create(found as Offer, orderOf())).rejects.toMatchObject({
        failure: 'OFFER_GONE',
        status: 410,
      })
      expect(fake.live()).toEqual([])
    }))

  test('told as invalid arguments with 404', () =>
    withVast({}, async (fake, client) => {
      const body = {success: false, error: 'invalid_args', msg: 'error 404/3603: no_such_ask'}
      fake.faults.inject({fault: {kind: 'reply', reply: {status: 404, body}}})
      await expect(client.create(offer, orderOf())).rejects.toMatchObject({failure: 'OFFER_GONE'})
    }))
})

describe('refusals that cost or do not cost', () => {
  test('too low a bid leaves a contract behind, and its id is told (19)', () =>
    withVast({offers: [offerRow(101, {min_bid: 0.3})]}, async (fake, client) => {
      const spec = spec4090({market: {kind: 'spot', bid: 0.2}})
      await expect(client.create(offer, orderOf({spec}))).rejects.toMatchObject({
        failure: 'BID_TOO_LOW',
        createdId: String(fake.instances.keys().next().value ?? 30_000_001),
      })
      expect((await client.get('30000001')).phase).toBe('interrupted')
    }))

  test.each([
    ['Insufficient credits', {success: false, msg: 'Insufficient credits'}, 'CREDIT'],
    ['missing_billing', {success: false, error: 'missing_billing', msg: 'add a card'}, 'CREDIT'],
    ['spend_rate_limit', {error: 'spend_rate_limit', msg: 'new account', success: false}, 'QUOTA'],
    ['no_ssh_key_for_vm', {success: false, error: 'no_ssh_key_for_vm', msg: 'key'}, 'INVALID'],
  ])('%s is told as what it is (21)', (_, body, failure) =>
    withVast({}, async (fake, client) => {
      fake.faults.inject({fault: {kind: 'reply', reply: {status: 400, body}}})
      await expect(client.create(offer, orderOf())).rejects.toMatchObject({failure})
      expect(fake.requests).toHaveLength(1)
    }),
  )

  test('too many requests: nothing was rented, and the next create waits out the penalty (11)', () =>
    withVast({}, async (fake, client) => {
      fake.faults.inject({fault: {kind: 'reply', reply: TOO_OFTEN.text}})
      await expect(client.create(offer, orderOf())).rejects.toMatchObject({failure: 'RATE_LIMITED'})
      await client.create(offer, orderOf())
      const [first, second] = fake.requests
      expect(Number(second?.at) - Number(first?.at)).toBeGreaterThanOrEqual(12_000)
      expect(fake.spacing.tooSoon).toEqual([])
    }))
})

describe('a create whose answer is lost is never repeated (12)', () => {
  test.each([
    ['the connection is reset after the work', {kind: 'reset', after: true}],
    ['the connection is reset before the work', {kind: 'reset'}],
    ['nothing is answered', {kind: 'stall', after: true}],
    ['the answer is cut', {kind: 'truncate'}],
    ['a gateway gives up', {kind: 'reply', reply: BROKEN.timeout, after: true}],
    ['an error is told', {kind: 'reply', reply: BROKEN.internal, after: true}],
    ['a page comes', {kind: 'reply', reply: BROKEN.html, after: true}],
    ['success comes without an id', {kind: 'edit', edit: () => ({success: true})}],
  ] as const)('%s', (_, fault) =>
    withVast({}, async (fake) => {
      const client = vastClient(fake, {timeoutMs: 300})
      fake.faults.inject({fault})
      await expect(client.create(offer, orderOf())).rejects.toMatchObject({failure: 'AMBIGUOUS'})
      expect(fake.requestsTo('create')).toHaveLength(1)
      const found = await client.list({label: 'dumont-main-1'})
      expect(found.map(({id}) => Number(id))).toEqual([...fake.instances.keys()])
    }),
  )

  test('nobody there: then certainly nothing was rented', () =>
    withVast({}, async (fake, client) => {
      await fake.close()
      await expect(client.create(offer, orderOf())).rejects.toMatchObject({failure: 'TRANSPORT'})
    }))

  test('interrupted on its way', () =>
    withVast({}, async (fake, client) => {
      const stop = new AbortController()
      fake.faults.inject({fault: {kind: 'stall', after: true}})
      fake.beforeCreate = () => stop.abort(new Error('enough'))
      await expect(client.create(offer, orderOf(), stop.signal)).rejects.toMatchObject({
        failure: 'AMBIGUOUS',
      })
    }))

  test('interrupted before it left: nothing was sent', () =>
    withVast({}, async (fake, client) => {
      const stop = AbortSignal.abort(new Error('enough'))
      await expect(client.create(offer, orderOf(), stop)).rejects.toThrow('enough')
      expect(fake.requests).toEqual([])
    }))
})

test('two runs with one label: the list shows both contracts (38)', () =>
  withVast({}, async (fake, client) => {
    fake.faults.inject({endpoint: 'create', fault: {kind: 'reset', after: true}})
    await client.create(offer, orderOf()).catch(() => {})
    await vastClient(fake)
      .create({...offer, id: '102'}, orderOf())
      .catch(() => {})
    fake.clock.advance(20_000)
    await vastClient(fake).create({...offer, id: '103'}, orderOf())
    const found = await client.list({label: 'dumont-main-1'})
    expect(found).toHaveLength(fake.live('dumont-main-1').length)
    expect(found.length).toBeGreaterThan(1)
  }))
