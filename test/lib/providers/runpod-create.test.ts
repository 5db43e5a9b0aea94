import {describe, expect, test} from '@jest/globals'
import type {CreateRequest} from '../../../src/lib/providers/provider.js'
import {offerOf, specOf} from '../../support/offers.js'
import {FakeRunpod, GPU, RUNPOD_KEY} from '../../support/runpod/fake-runpod.js'
import {problem} from '../../support/runpod/replies.js'
import {useRunpod} from '../../support/runpod/use-runpod.js'
import {BROKEN} from '../../support/vast/faults.js'

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

  describe('creates', () => {
    test('the pod that was asked for, with every key that may log in', async () => {
      const wanted = {...spec, cores: 8, memoryMB: 62_000, volume: {sizeGB: 40, path: '/workspace'}}
      const {id} = await desk.runpod.create(offer, request({spec: {...wanted, cuda: '12.8'}}))
      expect(desk.fake.pods.get(id)?.body).toEqual({
        name: 'dumont-box-abc',
        cloud: 'SECURE',
        gpu: {id: GPU, count: 1, minCudaVersion: '12.0', minRamPerGpu: 60, minVcpuCountPerGpu: 8},
        image: 'runpod/pytorch:1',
        disk: 20,
        mounts: {persistent: {size: 40, path: '/workspace'}},
        ports: ['8888/http', '22/tcp'],
        startSsh: true,
        dataCenterIds: ['US-TX-3'],
        env: {HF_TOKEN: 'hf_secret', PUBLIC_KEY: `ssh-ed25519 AAAAold someone@old\n${KEY}`},
      })
      expect(desk.fake.keys).toEqual(['ssh-ed25519 AAAAold someone@old', KEY])
    })

    test('and it becomes ready', async () => {
      const {id} = await desk.runpod.create(offer, request())
      const phases: string[] = []
      for (let poll = 0; poll < 9; poll++) {
        phases.push((await desk.runpod.get(id)).phase)
        desk.clock.advance(10_000)
      }
      expect([...new Set(phases)]).toEqual(['provisioning', 'starting', 'running'])
    })

    test('one that the vendor may not show at once', async () => {
      desk.fake.script = {hiddenMs: 8000}
      const {id} = await desk.runpod.create(offer, request())
      expect(await desk.runpod.get(id)).toMatchObject({phase: 'gone'})
      desk.clock.advance(8000)
      expect(await desk.runpod.get(id)).toMatchObject({phase: 'provisioning'})
    })

    test('one that ends in an error, or costs more than was said, and tells so', async () => {
      desk.fake.script = {ends: 'ERROR', fields: {cost: 9.99}}
      const {id} = await desk.runpod.create(offer, request())
      desk.clock.advance(60_000)
      expect(await desk.runpod.get(id)).toMatchObject({
        phase: 'failed',
        hourly: 9.99,
        endpoints: [],
      })
    })

    test('without touching account keys that hold it already, whatever the comment', async () => {
      desk.fake.keys = ['ssh-ed25519 AAAAnew another comment']
      await desk.runpod.create(offer, request())
      expect(desk.fake.server.to('put-keys')).toEqual([])
    })

    test('also when this API key may not see the account’s keys', async () => {
      desk.fake.forbidden.add('keys')
      const {id} = await desk.runpod.create(offer, request())
      expect(desk.fake.pods.get(id)?.body['env']).toMatchObject({PUBLIC_KEY: KEY})
    })

    test('nothing when the account’s keys cannot be read whole, so that none is lost', async () => {
      const fault = {kind: 'edit', edit: () => ({keys: 'one string'})} as const
      desk.fake.server.faults.inject({endpoint: 'keys', times: 9, fault})
      await expect(desk.runpod.create(offer, request())).rejects.toMatchObject({
        failure: 'PROTOCOL',
      })
      expect(desk.fake.server.to('put-keys')).toEqual([])
      expect(desk.fake.alive).toEqual([])
    })

    test.each([
      [
        'There are no longer any instances available with the requested specifications.',
        500,
        'CAPACITY',
      ],
      ['There are no longer any instances available with enough disk space.', 400, 'CAPACITY'],
      ['No instances are currently available', 409, 'CAPACITY'],
      ['Account spend limit reached', 400, 'QUOTA'],
      ['Insufficient funds to deploy', 402, 'CREDIT'],
      ['image is not allowed', 400, 'INVALID'],
      ['access denied', 403, 'SCOPE'],
      ['template not found', 404, 'NOT_FOUND'],
    ])('nothing when told "%s"', async (detail, status, failure) => {
      desk.fake.refusal = problem(status, 'Refused', detail)
      await expect(desk.runpod.create(offer, request())).rejects.toMatchObject({failure, status})
      expect(desk.fake.server.to('create')).toHaveLength(1)
    })

    test.each([
      ['another vendor’s offer', {}, {id: '12345'}],
      ['a start script', {onstart: 'sleep 1'}, {}],
      ['neither image nor template', {spec: specOf()}, {}],
    ])('nothing with %s, and asks nobody', async (_, change, other) => {
      await expect(desk.runpod.create({...offer, ...other}, request(change))).rejects.toMatchObject(
        {
          failure: 'INVALID',
        },
      )
      expect(desk.fake.server.to('create')).toEqual([])
    })

    test.each([
      ['the answer is lost', {kind: 'reset', after: true}],
      ['the request is lost', {kind: 'reset'}],
      ['nothing is answered', {kind: 'stall', after: true}],
      ['a gateway breaks down', {kind: 'reply', after: true, reply: BROKEN.gateway}],
      ['the server fails', {kind: 'reply', after: true, reply: BROKEN.internal}],
      ['the answer is cut', {kind: 'truncate'}],
      ['the answer is a web page', {kind: 'reply', after: true, reply: BROKEN.html}],
      ['the pod has no id', {kind: 'edit', edit: (pod: object) => ({...pod, id: undefined})}],
      ['the id could be a path', {kind: 'edit', edit: (pod: object) => ({...pod, id: '../x'})}],
      ['it is sent elsewhere', {kind: 'reply', reply: BROKEN.moved}],
    ] as const)('at most one when %s, and says that it does not know', async (_, fault) => {
      desk.fake.server.faults.inject({endpoint: 'create', fault})
      await expect(desk.open(RUNPOD_KEY, 300).create(offer, request())).rejects.toMatchObject({
        failure: 'AMBIGUOUS',
      })
      expect(desk.fake.server.to('create')).toHaveLength(1)
      const left = await desk.runpod.list({label: 'dumont-box-abc'})
      expect(left.map(({id}) => id)).toEqual(desk.fake.alive.map(({id}) => id))
    })

    test('nothing, and tells no value of a variable again', async () => {
      desk.fake.refusal = problem(
        422,
        'Unprocessable Entity',
        'env.HF_TOKEN: hf_secret is too long',
      )
      await expect(desk.runpod.create(offer, request())).rejects.toMatchObject({
        message: 'runpod: create: status 422: env.HF_TOKEN: … is too long',
      })
    })

    test('one after a refusal that only asked to wait', async () => {
      const reply = {...problem(429, 'Too Many Requests', 'slow'), headers: {'retry-after': '12'}}
      desk.fake.server.faults.inject({endpoint: 'create', fault: {kind: 'reply', reply}})
      await desk.runpod.create(offer, request())
      const [first, second] = desk.fake.server.to('create')
      expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(12_000)
      expect(desk.fake.alive).toHaveLength(1)
    })

    test('nothing, and knows it, when nobody listens', async () => {
      await desk.fake.server.close()
      await expect(desk.runpod.create(offer, request())).rejects.toMatchObject({
        failure: 'TRANSPORT',
      })
      desk.fake = await FakeRunpod.start(desk.clock)
    })

    test('and says AMBIGUOUS when interrupted on the way', async () => {
      const controller = new AbortController()
      desk.fake.server.faults.inject({
        endpoint: 'create',
        fault: {kind: 'stall', after: true},
        when: () => {
          setImmediate(() => controller.abort(new Error('stop')))
          return true
        },
      })
      await expect(desk.runpod.create(offer, request(), controller.signal)).rejects.toMatchObject({
        failure: 'AMBIGUOUS',
      })
    })
  })
})
