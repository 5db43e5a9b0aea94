import {describe, expect, test} from '@jest/globals'
import {withVast} from '../../support/vast/client.js'

describe('listing (5)', () => {
  test('follows every page', () =>
    withVast({}, async (fake, client) => {
      for (let count = 0; count < 60; count++) await fake.rent()
      const found = await client.list()
      expect(found.map(({id}) => Number(id))).toEqual([...fake.instances.keys()])
      expect(fake.requests).toHaveLength(3)
      expect(fake.spacing.tooSoon).toEqual([])
    }))

  test('finds by label, as the vendor filters and as the records say', () =>
    withVast({}, async (fake, client) => {
      await fake.rent({label: 'other'})
      const {id} = await fake.rent({label: 'mine'})
      expect((await client.list({label: 'mine'})).map((one) => one.id)).toEqual([String(id)])
      expect(fake.requests[0]?.query.get('select_filters')).toBe('{"label":{"eq":"mine"}}')
      expect(fake.violations).toEqual([])
    }))

  test('a vendor that ignores the filter does not hand out others', () =>
    withVast({}, async (fake, client) => {
      const stranger = await fake.rent({label: 'other'})
      const edit = () => ({instances: [stranger.record()], next_token: null})
      fake.faults.inject({fault: {kind: 'edit', edit}})
      await expect(client.list({label: 'mine'})).resolves.toEqual([])
    }))

  test.each<[string, () => unknown]>([
    ['no list', () => ({success: true})],
    ['a null list', () => ({instances: null, next_token: null})],
    ['a record that is none', () => ({instances: ['x'], next_token: null})],
    ['a record without an id', () => ({instances: [{label: 'x'}], next_token: null})],
    ['a token that is none', () => ({instances: [], next_token: 7})],
    [
      'a full page that does not say whether more follow',
      () => ({instances: Array.from({length: 25}, (_, i) => ({id: i + 1}))}),
    ],
  ])('%s is an error, never a shorter list', (_, edit) =>
    withVast({}, async (fake, client) => {
      fake.faults.inject({fault: {kind: 'edit', edit}, times: 9})
      await expect(client.list()).rejects.toMatchObject({failure: 'PROTOCOL'})
    }),
  )

  test('a list that goes in circles is an error', () =>
    withVast({}, async (fake, client) => {
      const reply = {status: 200, body: {instances: [{id: 5}], next_token: 'again'}}
      fake.faults.inject({fault: {kind: 'reply', reply}, times: 9})
      await expect(client.list()).rejects.toMatchObject({
        failure: 'PROTOCOL',
        message: expect.stringContaining('no end'),
      })
    }))

  test('a page that fails for good fails the list', () =>
    withVast({}, async (fake, client) => {
      for (let count = 0; count < 30; count++) await fake.rent()
      const body = {success: false, error: 'invalid_request', msg: 'bad token'}
      fake.faults.inject({skip: 1, fault: {kind: 'reply', reply: {status: 400, body}}})
      await expect(client.list()).rejects.toMatchObject({failure: 'INVALID'})
    }))
})

describe('getting one', () => {
  test('from create to running: the ports come with running (3)', () =>
    withVast({}, async (fake, client) => {
      const {id} = await client.create((await client.search(standard))[0] as never, {
        spec: standard,
        label: 'l',
        publicKeys: [],
        env: {},
      })
      const phases: string[] = []
      for (let poll = 0; poll < 6; poll++) {
        const {endpoints, phase} = await client.get(id)
        phases.push(`${phase} ${endpoints.map(({via}) => via).join('+')}`)
        fake.clock.advance(8000)
      }
      expect(phases).toEqual([
        'provisioning proxy',
        'starting proxy',
        'starting proxy',
        'starting proxy',
        'starting proxy',
        'running direct+proxy',
      ])
    }))

  test('tells price, times, machine and what it is, and nothing secret', () =>
    withVast({}, async (fake, client) => {
      const box = await fake.rent({label: 'l', env: {HF_TOKEN: 'hf_secret', '-p 8081:8080': '1'}})
      const found = await client.get(String(box.id))
      expect(found).toEqual({
        id: String(box.id),
        label: 'l',
        phase: 'running',
        state: 'running',
        message: 'success',
        endpoints: [
          {host: '203.0.113.7', port: 40_001, user: 'root', via: 'direct'},
          {host: 'ssh5.vast.ai', port: 20_001, user: 'root', via: 'proxy'},
        ],
        spec: {
          gpuName: 'RTX 4090',
          gpuCount: 1,
          gpuMemoryMB: 24_564,
          diskGB: 100,
          memoryMB: 128_000,
          cores: 16,
          cuda: '12.0',
          image: 'vastai/pytorch:2.6',
          region: 'Texas, US',
          ports: ['8080/tcp'],
          envNames: ['HF_TOKEN'],
          market: {kind: 'on-demand'},
        },
        machine: '1010',
        hourly: 0.35 + 15 / 720,
        storagePerGBMonth: 0.15,
        upCostPerGB: 0.002,
        downCostPerGB: 0.001,
        createdAt: box.createdAt,
        endsAt: box.createdAt + 2_000_000_000,
        volumes: [],
      })
    }))

  test('values of its environment are told apart, without what the vendor put there', () =>
    withVast({}, async (fake, client) => {
      const env = {HF_TOKEN: 'hf_secret', JUPYTER_TOKEN: 'of the vendor', '-p 80:80': '1'}
      const {id} = await fake.rent({env})
      expect(JSON.stringify(await client.get(String(id)))).not.toContain('hf_secret')
      expect(await client.values(String(id))).toEqual({HF_TOKEN: 'hf_secret'})
    }))

  test.each([[null], ['gone']])('no values come from %j', (instances) =>
    withVast({}, async (fake, client) => {
      const {id} = await fake.rent({})
      fake.faults.inject({fault: {kind: 'edit', edit: () => ({instances: {extra_env: instances}})}})
      const values = client.values(String(id))
      await (instances === null
        ? expect(values).resolves.toEqual({})
        : expect(values).rejects.toMatchObject({failure: 'PROTOCOL'}))
    }),
  )

  test('once destroyed it is gone: the vendor answers 200 and null (7)', () =>
    withVast({}, async (fake, client) => {
      const box = await fake.rent()
      await fake.destroy(box)
      await expect(client.get(String(box.id))).resolves.toMatchObject({phase: 'gone', hourly: 0})
      expect(fake.requests[0]?.status).toBe(200)
    }))

  test.each(['null', '404'] as const)(
    'right after create it may seem gone, by %s (29)',
    (hiddenAs) =>
      withVast({}, async (fake, client) => {
        const {id} = await fake.rent({}, {hiddenReads: 2, hiddenAs})
        const phases = []
        for (let poll = 0; poll < 3; poll++) phases.push((await client.get(String(id))).phase)
        expect(phases).toEqual(['gone', 'gone', 'running'])
      }),
  )

  test.each<[string, () => unknown]>([
    ['an answer without a record', () => ({success: true})],
    ['an empty record', () => ({instances: {}})],
    ['an empty list', () => ({instances: []})],
    ['a record in words', () => ({instances: 'none'})],
    ['the record of another', () => ({instances: {id: 999}})],
  ])('%s is an error, not "gone"', (_, edit) =>
    withVast({}, async (fake, client) => {
      const {id} = await fake.rent()
      fake.faults.inject({fault: {kind: 'edit', edit}, times: 9})
      await expect(client.get(String(id))).rejects.toMatchObject({failure: 'PROTOCOL'})
    }),
  )

  test('a 404 of some proxy is an error, not "gone"', () =>
    withVast({}, async (fake, client) => {
      const reply = {status: 404, body: '<html>no_such_instance</html>'}
      fake.faults.inject({fault: {kind: 'reply', reply}, times: 9})
      await expect(client.get('30000001')).rejects.toMatchObject({failure: 'PROTOCOL'})
    }))

  test.each(['', '0', '-1', '1/', '../users', '1?x', '٣'])(
    '%j is no id, and nothing is sent',
    (id) =>
      withVast({}, async (fake, client) => {
        await expect(client.get(id)).rejects.toMatchObject({failure: 'INVALID'})
        expect(fake.requests).toEqual([])
      }),
  )
})

describe('stopping and starting (6)', () => {
  test('a stopped box keeps and pays for its disk, and starts again', () =>
    withVast({}, async (fake, client) => {
      const id = String((await fake.rent()).id)
      await client.stop(id, undefined)
      expect(await client.get(id)).toMatchObject({phase: 'stopped', hourly: (0.15 * 100) / 720})
      await client.start(id)
      expect(await client.get(id)).toMatchObject({
        phase: 'starting',
        state: 'stopped, to be running',
      })
      fake.clock.advance(30_000)
      expect(await client.get(id)).toMatchObject({phase: 'running'})
      expect(client.capabilities.stopWipes).toBe(false)
    }))

  test('it may wait for its GPU for ever', () =>
    withVast({}, async (fake, client) => {
      const resume = [{afterMs: 0, set: {intended_status: 'running', next_state: 'running'}}]
      const id = String((await fake.rent({}, {resume})).id)
      await client.stop(id, undefined)
      await client.start(id)
      fake.clock.advance(3_600_000)
      expect(await client.get(id)).toMatchObject({
        phase: 'starting',
        state: 'stopped, to be running',
      })
    }))

  test('what is gone can be neither stopped nor started', () =>
    withVast({}, async (_, client) => {
      await expect(client.stop('30000009', undefined)).rejects.toMatchObject({failure: 'NOT_FOUND'})
      await expect(client.start('30000009')).rejects.toMatchObject({failure: 'NOT_FOUND'})
    }))
})

describe('what happens to instances', () => {
  test('an outbid one is interrupted, and comes back elsewhere (32, 33)', () =>
    withVast({}, async (fake, client) => {
      const box = await fake.rent({price: 0.2})
      const id = String(box.id)
      const states = {cur_state: 'stopped', intended_status: 'stopped', next_state: 'stopped'}
      box.become({...states, actual_status: 'stopped'})
      expect(await client.get(id)).toMatchObject({phase: 'interrupted'})
      box.life = {record: {ssh_port: 31_999, public_ipaddr: '203.0.113.99'}}
      await box.start()
      fake.clock.advance(30_000)
      const {endpoints, phase} = await client.get(id)
      expect(phase).toBe('running')
      expect(endpoints.map(({host, port}) => `${host}:${port}`)).toEqual([
        '203.0.113.99:40001',
        'ssh5.vast.ai:31999',
      ])
    }))

  test.each(['offline', 'unknown'])(
    'one whose host is %s is unreachable, and may return (25, 34)',
    (actual_status) =>
      withVast({}, async (fake, client) => {
        const box = await fake.rent()
        box.become({actual_status})
        expect(await client.get(String(box.id))).toMatchObject({phase: 'unreachable'})
        box.become({actual_status: 'running'})
        expect(await client.get(String(box.id))).toMatchObject({phase: 'running'})
      }),
  )

  test('an empty balance stops all (35)', () =>
    withVast({}, async (fake, client) => {
      await fake.rent()
      await fake.rent()
      fake.stopAll()
      expect((await client.list()).map(({phase}) => phase)).toEqual(['stopped', 'stopped'])
      expect(await client.whoami()).toMatchObject({creditUSD: 0})
    }))

  test('one that another ended is gone, also when a twin has its label (36)', () =>
    withVast({}, async (fake, client) => {
      const box = await fake.rent({label: 'l'})
      await fake.destroy(box)
      const twin = await fake.rent({label: 'l'})
      expect(await client.get(String(box.id))).toMatchObject({phase: 'gone'})
      expect((await client.list({label: 'l'})).map(({id}) => id)).toEqual([String(twin.id)])
    }))

  test('a record may differ from what was ordered, and says so (30)', () =>
    withVast({}, async (fake, client) => {
      const record = {num_gpus: 2, gpu_name: 'RTX 3090', disk_space: 50}
      const {id} = await fake.rent({}, {record})
      expect((await client.get(String(id))).spec).toMatchObject({
        gpuCount: 2,
        gpuName: 'RTX 3090',
        diskGB: 50,
      })
    }))
})

const standard = {
  gpuName: 'RTX 4090',
  gpuCount: 1,
  gpuMemoryMB: 24_564,
  diskGB: 100,
  image: 'vastai/pytorch:2.6',
  ports: [],
  envNames: [],
  market: {kind: 'on-demand'},
} as const
