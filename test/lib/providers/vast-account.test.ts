import {describe, expect, test} from '@jest/globals'
import {BROKEN, TOO_OFTEN} from '../../support/vast/faults.js'
import {spec4090, vastClient, withVast} from '../../support/vast/client.js'

describe('the account (1, 10)', () => {
  test('is told with what it can spend', () =>
    withVast({}, async (fake, client) => {
      await expect(client.whoami()).resolves.toEqual({account: '4711', creditUSD: 25})
      expect(fake.violations).toEqual([])
    }))

  test('tells its credit under the other name too', () =>
    withVast({}, async (fake, client) => {
      fake.faults.inject({
        endpoint: 'whoami',
        fault: {kind: 'edit', edit: ({credit, ...rest}) => ({...rest, balance: credit})},
      })
      await expect(client.whoami()).resolves.toEqual({account: '4711', creditUSD: 25})
    }))

  test('without an id is no account', () =>
    withVast({}, async (fake, client) => {
      fake.faults.inject({endpoint: 'whoami', fault: {kind: 'edit', edit: () => ({})}})
      await expect(client.whoami()).rejects.toMatchObject({failure: 'PROTOCOL'})
    }))

  test('refuses a wrong key, and the message does not hold it', () =>
    withVast({}, async (fake) => {
      const client = vastClient(fake, {key: 'f'.repeat(64)})
      const error: unknown = await client.whoami().catch((reason: unknown) => reason)
      expect(error).toMatchObject({failure: 'AUTH', status: 401, provider: 'vast'})
      expect(String(error)).not.toContain('ffff')
      expect(fake.requests).toHaveLength(1)
    }))

  test('hides the offers from a wrong key: that is the key again', () =>
    withVast({}, async (fake) => {
      const client = vastClient(fake, {key: 'f'.repeat(64)})
      await expect(client.search(spec4090())).rejects.toMatchObject({failure: 'AUTH', status: 404})
    }))

  test('refuses a key without the right', () =>
    withVast({}, async (fake, client) => {
      fake.scopes.delete('instance_write')
      await expect(client.stop('30000001', undefined)).rejects.toMatchObject({failure: 'SCOPE'})
      expect(fake.requests).toHaveLength(1)
    }))

  test('whose session has ended must log in again', () =>
    withVast({}, async (fake, client) => {
      const body = {success: false, msg: 'Session expired. Please log in again.'}
      fake.faults.inject({fault: {kind: 'reply', reply: {status: 404, body}}})
      await expect(client.get('30000001')).rejects.toMatchObject({failure: 'AUTH'})
    }))
})

describe('when the vendor is asked too often (11)', () => {
  test.each(Object.entries(TOO_OFTEN))('a read is repeated after %s', (_, reply) =>
    withVast({}, async (fake, client) => {
      fake.faults.inject({fault: {kind: 'reply', reply}, times: 3})
      await expect(client.whoami()).resolves.toMatchObject({account: '4711'})
      expect(fake.requests).toHaveLength(4)
      expect(fake.spacing.tooSoon).toEqual([])
    }),
  )

  test('it waits for at least as long as the answer says', () =>
    withVast({}, async (fake, client) => {
      const reply = {status: 429, body: 'API requests too frequent: endpoint threshold=30.0'}
      fake.faults.inject({fault: {kind: 'reply', reply}})
      await client.whoami()
      const [first, second] = fake.requests
      expect(Number(second?.at) - Number(first?.at)).toBeGreaterThanOrEqual(30_000)
    }))

  test('it gives up in the end, and says why', () =>
    withVast({}, async (fake, client) => {
      fake.faults.inject({fault: {kind: 'reply', reply: TOO_OFTEN.json}, times: 99})
      await expect(client.whoami()).rejects.toMatchObject({failure: 'RATE_LIMITED', status: 429})
      expect(fake.requests).toHaveLength(4)
    }))

  test('other endpoints go on', () =>
    withVast({}, async (fake, client) => {
      const before = fake.clock.now()
      fake.faults.inject({endpoint: 'whoami', fault: {kind: 'reply', reply: TOO_OFTEN.text}})
      const whoami = client.whoami()
      await client.list()
      expect(fake.requestsTo('list')[0]?.at).toBe(before)
      await whoami
    }))
})

describe('a vendor in trouble (12)', () => {
  test.each(['internal', 'gateway', 'unavailable', 'timeout', 'html'] as const)(
    'a read survives one answer of the kind %s',
    (kind) =>
      withVast({}, async (fake, client) => {
        fake.faults.inject({fault: {kind: 'reply', reply: BROKEN[kind]}})
        await expect(client.list()).resolves.toEqual([])
        expect(fake.requests).toHaveLength(2)
      }),
  )

  test.each([
    ['a reset', {kind: 'reset'}],
    ['a lost answer', {kind: 'reset', after: true}],
    ['silence', {kind: 'stall'}],
    ['half an answer', {kind: 'truncate'}],
  ] as const)('a read survives %s', (_, fault) =>
    withVast({}, async (fake) => {
      fake.faults.inject({fault})
      await expect(vastClient(fake, {timeoutMs: 200}).list()).resolves.toEqual([])
      expect(fake.requests).toHaveLength(2)
    }),
  )

  test('an answer in small pieces is an answer', () =>
    withVast({}, async (fake, client) => {
      fake.faults.inject({fault: {kind: 'dribble'}})
      await expect(client.whoami()).resolves.toMatchObject({account: '4711'})
      expect(fake.requests).toHaveLength(1)
    }))

  test('a vendor that stays broken is told as such', () =>
    withVast({}, async (fake, client) => {
      fake.faults.inject({fault: {kind: 'reply', reply: BROKEN.gateway}, times: 99})
      await expect(client.list()).rejects.toMatchObject({failure: 'TRANSPORT', status: 502})
      expect(fake.requests).toHaveLength(4)
    }))

  test('nobody there is told as such', () =>
    withVast({}, async (fake, client) => {
      await fake.close()
      await expect(client.list()).rejects.toMatchObject({
        failure: 'TRANSPORT',
        message: expect.stringContaining('ECONNREFUSED'),
      })
    }))

  test('an interrupted wait ends at once, with the reason', () =>
    withVast({}, async (fake, client) => {
      const stop = new AbortController()
      fake.faults.inject({fault: {kind: 'stall'}})
      const listing = client.list(undefined, stop.signal)
      stop.abort(new Error('enough'))
      await expect(listing).rejects.toThrow('enough')
    }))
})

describe('answers that are no success', () => {
  test('200 with success: false is a failure (13)', () =>
    withVast({}, async (fake, client) => {
      const body = {success: false, error: 'invalid_args', msg: 'no'}
      fake.faults.inject({fault: {kind: 'reply', reply: {status: 200, body}}})
      await expect(client.start('30000001')).rejects.toMatchObject({
        failure: 'INVALID',
        status: 200,
      })
    }))

  test('a redirect is not followed: it could carry the key elsewhere (14)', () =>
    withVast({}, async (fake, client) => {
      fake.faults.inject({fault: {kind: 'reply', reply: BROKEN.moved}})
      await expect(client.list()).rejects.toMatchObject({
        failure: 'INVALID',
        status: 308,
        message: expect.stringContaining('console.example.test'),
      })
      expect(fake.requests).toHaveLength(1)
    }))
})
