import {describe, expect, test} from '@jest/globals'
import type {Phase} from '../../../src/lib/providers/provider.js'
import {specOf} from '../../support/offers.js'
import {TYPE, typeEntry} from '../../support/lambda/fake-lambda.js'
import {useLambda} from '../../support/lambda/use-lambda.js'

describe('Lambda', () => {
  const desk = useLambda()

  describe('tells an instance', () => {
    test('with what a wake needs, but no token', async () => {
      const {id} = desk.fake.add({}, {fields: {file_system_names: ['data']}})
      desk.clock.advance(200_000)
      const told = await desk.lambda.get(id)
      expect(told).toMatchObject({
        id,
        label: 'box',
        phase: 'running',
        state: 'active',
        endpoints: [{host: '203.0.113.9', port: 22, user: 'ubuntu', via: 'direct'}],
        hourly: 2.49,
        storagePerGBMonth: undefined,
        createdAt: undefined,
        volumes: ['data'],
        spec: {
          gpuName: 'H100 (80 GB SXM5)',
          gpuCount: 1,
          gpuMemoryMB: 81_920,
          diskGB: expect.closeTo(3023.66, 1),
          memoryMB: 241_591,
          cores: 26,
          region: 'us-east-1',
        },
      })
      expect(JSON.stringify(told)).not.toMatch(/jupyter/)
    })

    test.each<[string, Phase]>([
      ['booting', 'starting'],
      ['unhealthy', 'unreachable'],
      ['terminating', 'failed'],
      ['terminated', 'gone'],
      ['preempted', 'interrupted'],
      ['dreaming', 'unknown'],
      ['__proto__', 'unknown'],
    ])('in the state %s as %s', async (status, phase) => {
      const {id} = desk.fake.add({}, {fields: {status}})
      expect(await desk.lambda.get(id)).toMatchObject({phase, state: status})
    })

    test('as starting until it has its address', async () => {
      const {id} = desk.fake.add({}, {addressMs: 20_000})
      desk.clock.advance(205_000)
      expect(await desk.lambda.get(id)).toMatchObject({
        phase: 'starting',
        state: 'active',
        endpoints: [],
      })
      desk.clock.advance(20_000)
      expect(await desk.lambda.get(id)).toMatchObject({phase: 'running'})
    })

    test.each(['-oProxyCommand=x', '203.0.113.9 x', 'host.example', ''])(
      'without a way in by the address %j',
      async (ip) => {
        const {id} = desk.fake.add({}, {fields: {ip}})
        desk.clock.advance(300_000)
        expect(await desk.lambda.get(id)).toMatchObject({phase: 'starting', endpoints: []})
      },
    )

    test('of which it knows next to nothing', async () => {
      const fields = {
        name: null,
        ip: 7,
        region: 'x',
        instance_type: [],
        file_system_names: 'all',
        status: null,
      }
      const {id} = desk.fake.add({}, {fields})
      expect(await desk.lambda.get(id)).toMatchObject({
        id,
        phase: 'unknown',
        hourly: undefined,
        volumes: [],
        spec: {gpuName: '', gpuCount: 0},
      })
    })

    test('by the name of its type where nothing else is told', async () => {
      const fields = {instance_type: {name: 'gpu_8x_a100_80gb_sxm4'}}
      const {id} = desk.fake.add({}, {fields})
      expect((await desk.lambda.get(id)).spec).toMatchObject({
        gpuName: 'a100 80gb sxm4',
        gpuCount: 8,
      })
    })

    test('that is not there as gone', async () => {
      expect(await desk.lambda.get('0000')).toMatchObject({id: '0000', phase: 'gone'})
    })

    test.each([
      ['a web page', {status: 404, body: '<html>no such host</html>'}],
      ['nothing', {status: 404, body: ''}],
      ['other JSON', {status: 404, body: {detail: 'not found'}}],
    ])('not as gone because of a 404 with %s', async (_, reply) => {
      const {id} = desk.fake.add()
      desk.fake.server.faults.inject({endpoint: 'get', times: 9, fault: {kind: 'reply', reply}})
      await expect(desk.lambda.get(id)).rejects.toMatchObject({failure: 'PROTOCOL'})
    })

    test('but never another one', async () => {
      const {id} = desk.fake.add({}, {fields: {id: 'ffff'}})
      await expect(desk.lambda.get(id)).rejects.toMatchObject({failure: 'PROTOCOL'})
    })

    test.each(['', '../ssh-keys', 'a/b', 'ABCD', 'abcd?x=1'])(
      'only for an id, not for %j',
      async (id) => {
        await expect(desk.lambda.get(id)).rejects.toMatchObject({failure: 'INVALID'})
        expect(desk.fake.server.requests).toEqual([])
      },
    )
  })

  describe('lists', () => {
    test.each([undefined, 1, 2, 5])('all instances on pages of %s', async (size) => {
      for (let count = 0; count < 5; count++) desk.fake.add({name: count === 3 ? 'mine' : 'other'})
      desk.fake.pageSize = size
      expect(await desk.lambda.list()).toHaveLength(5)
      expect((await desk.lambda.list({label: 'mine'})).map(({id}) => id.at(-1))).toEqual(['4'])
    })

    test('nothing rather than half of a list that does not end', async () => {
      const edit = () => ({data: [], page_token: 'again'})
      desk.fake.server.faults.inject({endpoint: 'list', times: 9, fault: {kind: 'edit', edit}})
      await expect(desk.lambda.list()).rejects.toMatchObject({failure: 'PROTOCOL'})
      expect(desk.fake.server.to('list')).toHaveLength(2)
    })

    test('nothing when one of them has no id', async () => {
      const edit = () => ({data: [{name: 'x'}]})
      desk.fake.server.faults.inject({endpoint: 'list', times: 9, fault: {kind: 'edit', edit}})
      await expect(desk.lambda.list()).rejects.toMatchObject({failure: 'PROTOCOL'})
    })
  })

  describe('searches', () => {
    const spec = specOf({gpuName: 'H100 SXM', gpuMemoryMB: 81_559, diskGB: 500})

    test('every region that says it has room', async () => {
      const offers = await desk.lambda.search(spec)
      expect(offers.map(({id}) => id)).toEqual([`${TYPE}@us-east-1`, `${TYPE}@us-west-2`])
      expect(offers[0]).toMatchObject({
        hourly: 2.49,
        storagePerGBMonth: 0,
        spec: {region: 'us-east-1'},
      })
    })

    test.each([
      ['another GPU', {...spec, gpuName: 'A100 SXM4'}, {}],
      ['more GPUs', {...spec, gpuCount: 8}, {}],
      ['a larger disk', {...spec, diskGB: 5000}, {}],
      ['another region', {...spec, region: 'europe-central-1'}, {}],
      ['a lower price', spec, {maxHourly: 2}],
    ])('past all when asked for %s', async (_, wanted, options) => {
      expect(await desk.lambda.search(wanted, options)).toEqual([])
    })

    test('past a type without room, without a price, or without figures', async () => {
      for (const entry of [
        typeEntry({}, []),
        typeEntry({price_cents_per_hour: null}),
        typeEntry({specs: null, gpu_description: null}),
        {...typeEntry(), regions_with_capacity_available: 'all'},
      ]) {
        desk.fake.types = {[TYPE]: entry}
        expect(await desk.lambda.search({...spec, diskGB: 5000})).toEqual([])
        expect((await desk.lambda.search(spec)).every(({hourly}) => hourly > 0)).toBe(true)
      }
    })

    test('nothing on the spot market', async () => {
      const market = {kind: 'spot', bid: 0.1} as const
      await expect(desk.lambda.search({...spec, market})).rejects.toMatchObject({
        failure: 'INVALID',
      })
    })
  })
})
