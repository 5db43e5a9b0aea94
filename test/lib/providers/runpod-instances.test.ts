import {describe, expect, test} from '@jest/globals'
import type {Phase} from '../../../src/lib/providers/provider.js'
import {GPU} from '../../support/runpod/fake-runpod.js'
import {useRunpod} from '../../support/runpod/use-runpod.js'

const KEY = 'ssh-ed25519 AAAAnew operator@desk'

describe('RunPod', () => {
  const desk = useRunpod()

  describe('tells an instance', () => {
    test('with what a wake needs, but no value of a variable', async () => {
      const {id} = desk.fake.add({
        ports: ['22/tcp', '8888/http'],
        disk: 20,
        mounts: {persistent: {size: 80, path: '/workspace'}},
        env: {HF_TOKEN: 'hf_secret', PUBLIC_KEY: KEY, JUPYTER_PASSWORD: 'pw_secret'},
      })
      desk.clock.advance(65_000)
      const pod = await desk.runpod.get(id)
      expect(pod).toMatchObject({
        id,
        label: 'box',
        phase: 'running',
        state: 'RUNNING',
        message: undefined,
        endpoints: [{host: '203.0.113.7', port: 22_001, user: 'root', via: 'direct'}],
        hourly: 0.35,
        createdAt: Date.UTC(2026, 10, 23, 14, 2, 0),
        volumes: [],
        spec: {
          gpuName: GPU,
          gpuCount: 1,
          diskGB: 100,
          volume: {sizeGB: 80, path: '/workspace'},
          memoryMB: 62_000,
          cores: 8,
          cuda: '12.8',
          region: 'US-TX-3',
          image: 'runpod/pytorch:1',
          ports: ['22/tcp', '8888/http'],
          envNames: ['HF_TOKEN'],
        },
      })
      expect(JSON.stringify(pod)).not.toMatch(/secret/)
    })

    test('and the values only when asked for them, without what the vendor put there', async () => {
      const env = {HF_TOKEN: 'hf_secret', PUBLIC_KEY: KEY, JUPYTER_PASSWORD: 'pw_secret'}
      const {id} = desk.fake.add({env})
      expect(await desk.runpod.values(id)).toEqual({HF_TOKEN: 'hf_secret'})
    })

    test.each<[string, Phase]>([
      ['PROVISIONING', 'provisioning'],
      ['STARTING', 'starting'],
      ['EXITED', 'stopped'],
      ['ERROR', 'failed'],
      ['TERMINATED', 'gone'],
      ['MIGRATING', 'unknown'],
      ['constructor', 'unknown'],
    ])('in the state %s as %s', async (status, phase) => {
      const {id} = desk.fake.add({}, {fields: {status}})
      expect(await desk.runpod.get(id)).toMatchObject({phase, state: status, endpoints: []})
    })

    test.each([
      [
        'nothing but an id',
        {name: null, gpu: null, ssh: null, mounts: null, ports: null, env: null},
      ],
      [
        'fields of other types',
        {name: 7, gpu: 'none', ssh: 'no', cost: '0.3', disk: [], createdAt: 9},
      ],
      ['a state that is no word', {status: 7}],
    ])('of which it knows %s', async (_, fields) => {
      const {id} = desk.fake.add({}, {fields})
      expect(await desk.runpod.get(id)).toMatchObject({id, endpoints: []})
    })

    test('as starting until it has its public port', async () => {
      const {id} = desk.fake.add({}, {directMs: 30_000})
      desk.clock.advance(70_000)
      expect(await desk.runpod.get(id)).toMatchObject({
        phase: 'starting',
        state: 'RUNNING',
        endpoints: [],
        message: expect.stringMatching(/waits for the public port/),
      })
      desk.clock.advance(30_000)
      expect(await desk.runpod.get(id)).toMatchObject({
        phase: 'running',
        endpoints: [{port: 22_001}],
      })
    })

    test('as out of reach when only the proxy leads to it', async () => {
      const {id} = desk.fake.add({ports: ['8888/http']})
      desk.clock.advance(120_000)
      expect(await desk.runpod.get(id)).toMatchObject({
        phase: 'running',
        endpoints: [],
        message: expect.stringMatching(
          /only the proxy of RunPod, which carries neither commands nor files: expose 22\/tcp/,
        ),
      })
    })

    test.each([
      [{host: '-oProxyCommand=x', port: 22, username: 'root'}],
      [{host: 'a b', port: 22, username: 'root'}],
      [{host: '203.0.113.7', port: 0, username: 'root'}],
      [{host: '203.0.113.7', port: 22, username: '-x y'}],
    ])('without a way in that cannot be one: %j', async (direct) => {
      const {id} = desk.fake.add({}, {fields: {ssh: {proxy: null, direct}}})
      desk.clock.advance(120_000)
      expect((await desk.runpod.get(id)).endpoints).toEqual([])
    })

    test('that came back without a GPU', async () => {
      const {id} = desk.fake.add({gpu: {id: GPU, count: 0}})
      desk.clock.advance(120_000)
      expect(await desk.runpod.get(id)).toMatchObject({
        message: 'came back without a GPU',
        spec: {gpuCount: 0},
      })
    })

    test('with what its volume costs while it is stopped, though the vendor says nothing', async () => {
      const pod = desk.fake.add({mounts: {persistent: {size: 72, path: '/workspace'}}})
      pod.stopped = true
      expect(await desk.runpod.get(pod.id)).toMatchObject({phase: 'stopped', hourly: 0.02})
    })

    test('with the volumes that outlive it', async () => {
      const {id} = desk.fake.add({mounts: {network: [{volumeId: 'vol_1', path: '/data'}, null]}})
      expect((await desk.runpod.get(id)).volumes).toEqual(['vol_1'])
    })

    test('that is not there as gone', async () => {
      expect(await desk.runpod.get('pod0000009')).toMatchObject({id: 'pod0000009', phase: 'gone'})
    })

    test('not as gone because of somebody else’s 404', async () => {
      const {id} = desk.fake.add()
      const reply = {status: 404, body: '<html>no such host</html>'}
      desk.fake.server.faults.inject({endpoint: 'get', times: 9, fault: {kind: 'reply', reply}})
      await expect(desk.runpod.get(id)).rejects.toMatchObject({failure: 'PROTOCOL', status: 404})
    })

    test('but never another one', async () => {
      const {id} = desk.fake.add({}, {fields: {id: 'pod7777777'}})
      await expect(desk.runpod.get(id)).rejects.toMatchObject({failure: 'PROTOCOL'})
    })

    test.each(['', '../account', 'a/b', 'POD1', 'x?y=1'])(
      'only for an id, not for %j',
      async (id) => {
        await expect(desk.runpod.get(id)).rejects.toMatchObject({failure: 'INVALID'})
        expect(desk.fake.server.requests).toEqual([])
      },
    )
  })

  describe('lists', () => {
    test('all pods, those of clusters as well', async () => {
      desk.fake.add()
      desk.fake.add({cluster: {id: 'c1', rank: 0}})
      expect(await desk.runpod.list()).toHaveLength(2)
    })

    test('those with a label', async () => {
      desk.fake.add({name: 'other'})
      const {id} = desk.fake.add({name: 'dumont-box-abc'})
      expect((await desk.runpod.list({label: 'dumont-box-abc'})).map((pod) => pod.id)).toEqual([id])
    })

    test.each([
      ['no list', {}],
      ['a list that is none', {pods: {}}],
      ['a pod without an id', {pods: [{name: 'x'}]}],
    ])('nothing rather than half: %s', async (_, body) => {
      desk.fake.server.faults.inject({
        endpoint: 'list',
        times: 9,
        fault: {kind: 'edit', edit: () => body},
      })
      await expect(desk.runpod.list()).rejects.toMatchObject({failure: 'PROTOCOL'})
    })
  })
})
