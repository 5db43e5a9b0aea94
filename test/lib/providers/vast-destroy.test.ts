import {describe, expect, test} from '@jest/globals'
import {type DestroyProof, mintDestroyProof} from '../../../src/lib/providers/destroy-proof.js'
import {vastClient, withVast} from '../../support/vast/client.js'
import type {FakeVast} from '../../support/vast/fake-vast.js'
import {BROKEN, TOO_OFTEN} from '../../support/vast/faults.js'

function proofFor(
  fake: FakeVast,
  id: string,
  {provider = 'vast', lastsMs = 600_000} = {},
): DestroyProof {
  return mintDestroyProof({
    kind: 'receipt',
    instance: {provider, account: '4711', id, createdAt: undefined},
    expiresAt: fake.clock.now() + lastsMs,
  })
}

describe('destroying', () => {
  test('ends what is proven, and nothing else (7)', () =>
    withVast({}, async (fake, client) => {
      const [box, other] = [await fake.rent(), await fake.rent()]
      await client.destroy(String(box.id), proofFor(fake, String(box.id)))
      expect(fake.live()).toEqual([other])
      expect(fake.violations).toEqual([])
    }))

  test.each<[string, (fake: FakeVast, id: string) => DestroyProof]>([
    ['a proof of another instance', (fake) => proofFor(fake, '30000099')],
    ['a proof of another vendor', (fake, id) => proofFor(fake, id, {provider: 'runpod'})],
    ['an old proof', (fake, id) => proofFor(fake, id, {lastsMs: -1})],
    ['a copy of a proof', (fake, id) => ({...proofFor(fake, id)})],
  ])('%s: nothing is sent', (_, proofOf) =>
    withVast({}, async (fake, client) => {
      const id = String((await fake.rent()).id)
      await expect(client.destroy(id, proofOf(fake, id))).rejects.toMatchObject({
        failure: 'UNPROVEN',
      })
      expect(fake.requests).toEqual([])
    }),
  )

  test('a proof that expires between two attempts allows no second one', () =>
    withVast({}, async (fake, client) => {
      const id = String((await fake.rent()).id)
      fake.faults.inject({fault: {kind: 'reply', reply: TOO_OFTEN.text}})
      const proof = proofFor(fake, id, {lastsMs: 1000})
      await expect(client.destroy(id, proof)).rejects.toMatchObject({failure: 'UNPROVEN'})
      expect(fake.requests).toHaveLength(1)
      expect(fake.live()).toHaveLength(1)
    }))
})

describe('destroying against resistance (37)', () => {
  test.each(['no_such_instance', 'not_found'])('%s: it is gone already', (error) =>
    withVast({}, async (fake, client) => {
      const body = {success: false, error, msg: 'Instance not found'}
      fake.faults.inject({fault: {kind: 'reply', reply: {status: 404, body}}})
      await client.destroy('30000001', proofFor(fake, '30000001'))
      expect(fake.requests).toHaveLength(1)
    }),
  )

  test('too many requests, four times, then done', () =>
    withVast({}, async (fake, client) => {
      const id = String((await fake.rent()).id)
      fake.faults.inject({fault: {kind: 'reply', reply: TOO_OFTEN.detail}, times: 4})
      await client.destroy(id, proofFor(fake, id))
      expect(fake.requests).toHaveLength(5)
      expect(fake.live()).toEqual([])
      expect(fake.spacing.tooSoon).toEqual([])
    }))

  test('too many requests for ever is an error', () =>
    withVast({}, async (fake, client) => {
      const id = String((await fake.rent()).id)
      fake.faults.inject({fault: {kind: 'reply', reply: TOO_OFTEN.detail}, times: 99})
      await expect(client.destroy(id, proofFor(fake, id))).rejects.toMatchObject({
        failure: 'RATE_LIMITED',
      })
      expect(fake.requests).toHaveLength(6)
    }))

  test.each([
    ['a reset', {kind: 'reset', after: true}],
    ['silence', {kind: 'stall', after: true}],
    ['a tired gateway', {kind: 'reply', reply: BROKEN.gateway, after: true}],
    ['half an answer', {kind: 'truncate'}],
  ] as const)('done, but its answer was lost by %s: asking again finds it gone (12)', (_, fault) =>
    withVast({}, async (fake) => {
      const id = String((await fake.rent()).id)
      fake.faults.inject({fault})
      await vastClient(fake, {timeoutMs: 300}).destroy(id, proofFor(fake, id))
      expect(fake.requests.map(({status}) => status).at(-1)).toBe(404)
      expect(fake.live()).toEqual([])
    }),
  )

  test('success: false is an error', () =>
    withVast({}, async (fake, client) => {
      const id = String((await fake.rent()).id)
      const body = {success: false, error: 'busy', msg: 'try later'}
      fake.faults.inject({fault: {kind: 'reply', reply: {status: 200, body}}})
      await expect(client.destroy(id, proofFor(fake, id))).rejects.toMatchObject({
        failure: 'INVALID',
      })
      expect(fake.live()).toHaveLength(1)
    }))

  test('a 404 that does not say what is missing is an error', () =>
    withVast({}, async (fake, client) => {
      const id = String((await fake.rent()).id)
      fake.faults.inject({
        fault: {kind: 'reply', reply: {status: 404, body: 'not_found'}},
        times: 9,
      })
      await expect(client.destroy(id, proofFor(fake, id))).rejects.toMatchObject({
        failure: 'PROTOCOL',
      })
    }))

  test('the record may stay for some reads after success', () =>
    withVast({}, async (fake, client) => {
      const id = String((await fake.rent({}, {lingeringReads: 2})).id)
      await client.destroy(id, proofFor(fake, id))
      const phases = []
      for (let poll = 0; poll < 3; poll++) phases.push((await client.get(id)).phase)
      expect(phases).toEqual(['running', 'running', 'gone'])
    }))
})
