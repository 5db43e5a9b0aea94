import {describe, expect, test} from '@jest/globals'
import {LAMBDA_KEY, refused} from '../../support/lambda/fake-lambda.js'
import {useLambda} from '../../support/lambda/use-lambda.js'
import {BROKEN} from '../../support/vast/faults.js'
import {proofFor} from '../../support/vendor-proof.js'

describe('Lambda', () => {
  const desk = useLambda()

  describe('destroys', () => {
    test('what is proven, and says that it is gone when the vendor does', async () => {
      const {id} = desk.fake.add()
      await desk.lambda.destroy(id, desk.proof(id))
      expect(desk.fake.alive).toEqual([])
      expect(await desk.lambda.get(id)).toMatchObject({phase: 'failed', state: 'terminating'})
      desk.clock.advance(30_000)
      expect(await desk.lambda.get(id)).toMatchObject({phase: 'gone', state: 'terminated'})
      desk.clock.advance(60_000)
      expect(await desk.lambda.get(id)).toMatchObject({phase: 'gone'})
    })

    test('nothing without proof, and asks nobody', async () => {
      const {id} = desk.fake.add()
      const late = desk.proof(id)
      const others = [{...late}, proofFor('runpod', id, desk.clock.now()), desk.proof('ffff')]
      for (const wrong of others)
        await expect(desk.lambda.destroy(id, wrong)).rejects.toMatchObject({failure: 'UNPROVEN'})
      desk.clock.advance(600_000)
      await expect(desk.lambda.destroy(id, late)).rejects.toMatchObject({failure: 'UNPROVEN'})
      expect(desk.fake.server.requests).toEqual([])
    })

    test.each([
      ['the answer is lost', {kind: 'reset', after: true}],
      ['the server fails', {kind: 'reply', reply: BROKEN.internal}],
      ['it is asked to wait', {kind: 'reply', reply: {status: 429, body: 'Too Many Requests'}}],
      ['the answer is cut', {kind: 'truncate'}],
    ] as const)('again when %s', async (_, fault) => {
      const {id} = desk.fake.add()
      desk.fake.server.faults.inject({endpoint: 'destroy', fault})
      await desk.lambda.destroy(id, desk.proof(id))
      expect(desk.fake.server.to('destroy')).toHaveLength(2)
      expect(desk.fake.alive).toEqual([])
    })

    test('what somebody else destroyed before, without a complaint', async () => {
      await desk.lambda.destroy('ffff', desk.proof('ffff'))
    })

    test('and does not believe a success that names others', async () => {
      const {id} = desk.fake.add()
      const edit = () => ({data: {terminated_instances: [{id: 'eeee'}]}})
      desk.fake.server.faults.inject({endpoint: 'destroy', fault: {kind: 'edit', edit}})
      await expect(desk.lambda.destroy(id, desk.proof(id))).rejects.toMatchObject({
        failure: 'PROTOCOL',
        message: expect.stringMatching(/not among what was terminated/),
      })
    })

    test('and gives up in the end', async () => {
      const {id} = desk.fake.add()
      const fault = {kind: 'reply', reply: BROKEN.unavailable} as const
      desk.fake.server.faults.inject({endpoint: 'destroy', times: 99, fault})
      await expect(desk.lambda.destroy(id, desk.proof(id))).rejects.toMatchObject({
        failure: 'TRANSPORT',
      })
      expect(desk.fake.server.to('destroy')).toHaveLength(6)
      expect(desk.fake.alive).toHaveLength(1)
    })

    test('but cannot stop', () => {
      expect(desk.lambda.capabilities).toMatchObject({stop: false, destroy: true})
      expect('stop' in desk.lambda).toBe(false)
    })
  })

  describe('in all it asks', () => {
    test('goes by the key, which shows nothing of it', async () => {
      const {account} = await desk.lambda.whoami()
      expect(account).toMatch(/^key-[0-9a-f]{12}$/)
      expect(LAMBDA_KEY).not.toContain(account.slice(4))
    })

    test('says when the key is refused', async () => {
      await expect(desk.open('secret_wrong').whoami()).rejects.toMatchObject({
        failure: 'AUTH',
        status: 401,
      })
      expect(desk.fake.server.requests).toHaveLength(1)
    })

    test('asks once a second at most, also side by side', async () => {
      const {id} = desk.fake.add()
      await Promise.all(Array.from({length: 20}, () => desk.lambda.get(id)))
      expect(desk.fake.hasty).toBe(0)
      expect(desk.fake.server.to('get')).toHaveLength(20)
    })

    test('sends the key in its header and nowhere else', async () => {
      desk.fake.add()
      await desk.lambda.list()
      for (const {headers, path, query, text} of desk.fake.server.requests) {
        expect(headers['authorization']).toBe(`Bearer ${LAMBDA_KEY}`)
        expect(`${path}${query.toString()}${text}`).not.toContain(LAMBDA_KEY)
      }
    })

    test('tells no secret, whatever the vendor says', async () => {
      const reply = refused(400, 'global/x', `key ${LAMBDA_KEY} token: hushhush1`)
      desk.fake.server.faults.inject({endpoint: 'list', fault: {kind: 'reply', reply}})
      const told = await desk.lambda.list().catch((error: Error) => error.message)
      expect(told).toMatch(/^lambda: list: status 400: global\/x: key … token: …/)
      expect(told).not.toMatch(/secret_lambda|hushhush/)
    })
  })
})
