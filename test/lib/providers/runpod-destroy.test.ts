import {describe, expect, test} from '@jest/globals'
import type {CreateRequest} from '../../../src/lib/providers/provider.js'
import {offerOf, specOf} from '../../support/offers.js'
import {GPU, RUNPOD_KEY} from '../../support/runpod/fake-runpod.js'
import {problem} from '../../support/runpod/replies.js'
import {useRunpod} from '../../support/runpod/use-runpod.js'
import {BROKEN} from '../../support/vast/faults.js'
import {proofFor} from '../../support/vendor-proof.js'

const KEY = 'ssh-ed25519 AAAAnew operator@desk'

describe('RunPod', () => {
  const desk = useRunpod()
  const spec = specOf({diskGB: 60, image: 'runpod/pytorch:1', ports: ['8888/http']})
  const request = (change: Partial<CreateRequest> = {}): CreateRequest => ({
    spec,
    label: 'dumont-box-abc',
    publicKeys: [KEY],
    env: {HF_TOKEN: 'hf_secret'},
    ...change,
  })
  const offer = offerOf({id: `SECURE/US-TX-3/${GPU}`, machine: undefined})

  describe('stops and starts', () => {
    test('a pod whose loss is proven', async () => {
      const pod = desk.fake.add()
      await desk.runpod.stop(pod.id, desk.proof(pod.id))
      expect(pod).toMatchObject({stopped: true, wiped: true})
      await desk.runpod.start(pod.id)
      expect(pod.stopped).toBe(false)
    })

    test('none without proof, because stopping wipes it', async () => {
      const pod = desk.fake.add()
      const forged = {...desk.proof(pod.id)}
      for (const wrong of [undefined, forged, desk.proof('pod0000009')])
        await expect(desk.runpod.stop(pod.id, wrong)).rejects.toMatchObject({failure: 'UNPROVEN'})
      expect(desk.fake.server.requests).toEqual([])
      expect(pod.wiped).toBe(false)
    })

    test('none that is locked, and says so', async () => {
      const {id} = desk.fake.add({}, {fields: {locked: true}})
      await expect(desk.runpod.stop(id, desk.proof(id))).rejects.toMatchObject({
        failure: 'INVALID',
        status: 409,
      })
      expect((await desk.runpod.get(id)).message).toMatch(/locked/)
    })

    test('none whose host has no free GPU', async () => {
      const {id} = desk.fake.add()
      const reply = problem(
        500,
        'Error',
        'There are not enough free GPUs on the host machine to start this pod.',
      )
      desk.fake.server.faults.inject({endpoint: 'action', fault: {kind: 'reply', reply}})
      await expect(desk.runpod.start(id)).rejects.toMatchObject({failure: 'CAPACITY'})
    })
  })

  describe('destroys', () => {
    test('what is proven', async () => {
      const {id} = desk.fake.add()
      await desk.runpod.destroy(id, desk.proof(id))
      expect(desk.fake.alive).toEqual([])
      expect(await desk.runpod.get(id)).toMatchObject({phase: 'gone'})
    })

    test('nothing without proof, and asks nobody', async () => {
      const {id} = desk.fake.add()
      const late = desk.proof(id)
      const others = [{...late}, proofFor('vast', id, desk.clock.now()), desk.proof('pod0000009')]
      for (const wrong of others)
        await expect(desk.runpod.destroy(id, wrong)).rejects.toMatchObject({failure: 'UNPROVEN'})
      desk.clock.advance(600_000)
      await expect(desk.runpod.destroy(id, late)).rejects.toMatchObject({failure: 'UNPROVEN'})
      expect(desk.fake.server.requests).toEqual([])
    })

    test('nothing with a proof that ran out while it waited', async () => {
      const {id} = desk.fake.add()
      const late = desk.proof(id)
      desk.clock.advance(599_000)
      desk.fake.server.faults.inject({
        endpoint: 'destroy',
        times: 9,
        fault: {kind: 'reply', reply: BROKEN.unavailable},
      })
      await expect(desk.runpod.destroy(id, late)).rejects.toMatchObject({failure: 'UNPROVEN'})
      expect(desk.fake.server.to('destroy')).toHaveLength(1)
      expect(desk.fake.alive).toHaveLength(1)
    })

    test.each([
      ['the answer is lost', {kind: 'reset', after: true}],
      ['the server fails', {kind: 'reply', reply: BROKEN.internal}],
      ['it is asked to wait', {kind: 'reply', reply: {status: 429, body: 'slow down'}}],
    ] as const)('again when %s', async (_, fault) => {
      const {id} = desk.fake.add()
      desk.fake.server.faults.inject({endpoint: 'destroy', fault})
      await desk.runpod.destroy(id, desk.proof(id))
      expect(desk.fake.server.to('destroy')).toHaveLength(2)
      expect(desk.fake.alive).toEqual([])
    })

    test('what somebody else destroyed before, without a complaint', async () => {
      await desk.runpod.destroy('pod0000009', desk.proof('pod0000009'))
    })

    test('without saying that it is gone before the vendor does', async () => {
      const {id} = desk.fake.add({}, {lingerMs: 30_000})
      await desk.runpod.destroy(id, desk.proof(id))
      expect(await desk.runpod.get(id)).toMatchObject({phase: 'gone', state: 'TERMINATED'})
      desk.clock.advance(30_000)
      expect(await desk.runpod.list()).toEqual([])
    })

    test('and gives up in the end', async () => {
      const {id} = desk.fake.add()
      desk.fake.server.faults.inject({
        endpoint: 'destroy',
        times: 99,
        fault: {kind: 'reply', reply: BROKEN.timeout},
      })
      await expect(desk.runpod.destroy(id, desk.proof(id))).rejects.toMatchObject({
        failure: 'TRANSPORT',
      })
      expect(desk.fake.server.to('destroy')).toHaveLength(6)
    })
  })

  describe('knows the account', () => {
    test('by its id, and what is left to spend', async () => {
      expect(await desk.runpod.whoami()).toEqual({account: 'user_1', creditUSD: 12.5})
    })

    test('by the key when that may not ask, which shows nothing of the key', async () => {
      desk.fake.forbidden.add('whoami')
      const {account} = await desk.runpod.whoami()
      expect(account).toMatch(/^key-[0-9a-f]{12}$/)
      expect(await desk.runpod.whoami()).toEqual({account})
      const edit = () => ({errors: [{message: 'Something went wrong'}], data: null})
      desk.fake.forbidden.clear()
      desk.fake.server.faults.inject({endpoint: 'whoami', fault: {kind: 'edit', edit}})
      expect(await desk.runpod.whoami()).toEqual({account})
    })

    test('not by the key when the vendor is only out of order', async () => {
      desk.fake.server.faults.inject({
        endpoint: 'whoami',
        times: 99,
        fault: {kind: 'reply', reply: BROKEN.html},
      })
      await expect(desk.runpod.whoami()).rejects.toMatchObject({failure: 'PROTOCOL'})
    })

    test('not with a key that is refused', async () => {
      await expect(desk.open('rpa_wrong').whoami()).rejects.toMatchObject({
        failure: 'AUTH',
        status: 401,
      })
    })
  })

  describe('in all it asks', () => {
    test.each(['reset', 'stall', 'truncate'] as const)('reads again after a %s', async (kind) => {
      const {id} = desk.fake.add()
      desk.fake.server.faults.inject({endpoint: 'get', times: 2, fault: {kind}})
      expect(await desk.open(RUNPOD_KEY, 300).get(id)).toMatchObject({id, phase: 'provisioning'})
      expect(desk.fake.server.to('get')).toHaveLength(3)
    })

    test('keeps its distance, also side by side', async () => {
      await Promise.all(Array.from({length: 70}, () => desk.runpod.list()))
      const times = desk.fake.server.requests.map(({at}) => at)
      const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0))
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1000)
      expect(desk.fake.server.requests.every(({status}) => status === 200)).toBe(true)
    })

    test('sends the key in its header and nowhere else', async () => {
      const {id} = await desk.runpod.create(offer, request())
      await desk.runpod.whoami()
      await desk.runpod.destroy(id, desk.proof(id))
      for (const {headers, path, query, text} of desk.fake.server.requests) {
        expect(headers['authorization']).toBe(`Bearer ${RUNPOD_KEY}`)
        expect(`${path}${query.toString()}${text}`).not.toContain(RUNPOD_KEY)
      }
    })

    test('tells no secret, whatever the vendor says', async () => {
      const detail = `bad ${RUNPOD_KEY}, Bearer abcdefgh12345, api_key=topsecret1 \u001B[31m`
      desk.fake.server.faults.inject({
        endpoint: 'list',
        fault: {kind: 'reply', reply: problem(400, 'No', detail)},
      })
      const said = await desk.runpod.list().catch((error: Error) => error.message)
      expect(said).toMatch(/^runpod: list: status 400: bad …/)
      expect(said).not.toMatch(/SECRETKEY|abcdefgh12345|topsecret1/)
      expect(said).not.toContain('\u001B')
    })

    test('does not follow a redirect with its key', async () => {
      desk.fake.server.faults.inject({
        endpoint: 'list',
        times: 9,
        fault: {kind: 'reply', reply: BROKEN.moved},
      })
      await expect(desk.runpod.list()).rejects.toMatchObject({failure: 'PROTOCOL', status: 308})
    })

    test('stops when it is interrupted', async () => {
      const reason = new Error('stop')
      await expect(desk.runpod.list({}, AbortSignal.abort(reason))).rejects.toBe(reason)
      expect(desk.fake.server.requests).toEqual([])
    })
  })
})
