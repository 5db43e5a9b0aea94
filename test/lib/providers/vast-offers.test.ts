import {describe, expect, test} from '@jest/globals'
import {spec4090, withVast} from '../../support/vast/client.js'
import {offerRow} from '../../support/vast/offers.js'

describe('searching (2)', () => {
  test('asks with operators alone, and for the disk that will be rented', () =>
    withVast({}, async (fake, client) => {
      await client.search(spec4090({cores: 8, memoryMB: 64_000, cuda: '12.4', region: 'Ohio, US'}))
      expect(fake.requests[0]?.body).toEqual({
        verified: {eq: true},
        external: {eq: false},
        rentable: {eq: true},
        rented: {eq: false},
        gpu_name: {eq: 'RTX 4090'},
        num_gpus: {eq: 1},
        gpu_ram: {gte: 24_072},
        disk_space: {gte: 100},
        direct_port_count: {gte: 1},
        cpu_ram: {gte: 64_000},
        cpu_cores_effective: {gte: 8},
        cuda_max_good: {gte: 12.4},
        geolocation: {in: ['US']},
        order: [['dph_total', 'asc']],
        type: 'on-demand',
        limit: 200,
        allocated_storage: 100,
      })
      expect(fake.violations).toEqual([])
    }))

  test('finds what fits, cheapest first, with its price for that disk', () => {
    const offers = [offerRow(1, {dph_base: 0.5}), offerRow(2, {dph_base: 0.3})]
    return withVast({offers}, async (_, client) => {
      const found = await client.search(spec4090())
      expect(found.map(({id}) => id)).toEqual(['2', '1'])
      expect(found[0]).toMatchObject({
        machine: '20',
        hourly: 0.3 + (0.15 * 100) / 720,
        storagePerGBMonth: 0.15,
        upCostPerGB: 0.002,
        downCostPerGB: 0.001,
        downMbps: 900,
        upMbps: 600,
        reliability: 0.995,
        spec: {gpuName: 'RTX 4090', gpuMemoryMB: 24_564, diskGB: 100, region: 'Texas, US'},
      })
    })
  })

  test('leaves out machines to avoid, and what costs too much', () => {
    const offers = [offerRow(1), offerRow(2), offerRow(3, {dph_base: 0.9})]
    return withVast({offers}, async (_, client) => {
      const found = await client.search(spec4090(), {maxHourly: 0.6, avoidMachines: ['10']})
      expect(found.map(({id}) => id)).toEqual(['2'])
    })
  })

  test('adds the disk itself when the answer is priced without it', () =>
    withVast({offers: [offerRow(1)]}, async (fake, client) => {
      const edit = () => ({offers: [{...offerRow(1), dph_total: 0.35}]})
      fake.faults.inject({fault: {kind: 'edit', edit}})
      const [offer] = await client.search(spec4090({diskGB: 720}))
      expect(offer?.hourly).toBeCloseTo(0.35 + 0.15, 9)
    }))
})

describe('odd answers (16)', () => {
  test('nothing found is an empty list', () =>
    withVast({offers: []}, async (_, client) => {
      await expect(client.search(spec4090())).resolves.toEqual([])
    }))

  test('one offer instead of a list is a list of one', () =>
    withVast({}, async (fake, client) => {
      const edit = ({offers}: {offers?: unknown}) => ({offers: (offers as unknown[])[0]})
      fake.faults.inject({fault: {kind: 'edit', edit}})
      await expect(client.search(spec4090())).resolves.toMatchObject([{id: '101'}])
    }))

  test.each([
    ['another GPU', {gpu_name: 'RTX 3090'}],
    ['fewer GPUs', {num_gpus: 0}],
    ['more GPUs', {num_gpus: 2}],
    ['a GPU with half the memory', {gpu_ram: 12_000}],
    ['a GPU whose memory is not told', {gpu_ram: null}],
    ['too small a disk', {disk_space: 50}],
    ['an older CUDA', {cuda_max_good: 11.8}],
    ['another country', {geolocation: 'Norway, NO'}],
    ['no port of its own', {direct_port_count: 0, static_ip: false}],
    ['a price in words', {dph_total: 'cheap', dph_base: null}],
    ['no price for its disk', {storage_cost: null}],
    ['no price for traffic', {inet_up_cost: undefined}],
    ['a price below nothing', {dph_total: -1}],
    ['no id', {id: null}],
    ['an id that is none', {id: 'x/../1'}],
  ])('a row with %s is no offer', (_, change) =>
    withVast({}, async (fake, client) => {
      const row = {...offerRow(7), dph_total: 0.4, ...change}
      fake.faults.inject({fault: {kind: 'edit', edit: () => ({offers: [row]})}})
      await expect(client.search(spec4090({cuda: '12.0', region: 'US'}))).resolves.toEqual([])
    }),
  )

  test.each([{}, {offers: null}, {offers: 'none'}])('%j is no answer', (body) =>
    withVast({}, async (fake, client) => {
      fake.faults.inject({fault: {kind: 'edit', edit: () => body}})
      await expect(client.search(spec4090())).rejects.toMatchObject({failure: 'PROTOCOL'})
    }),
  )

  test('a refused query is told with the reason', () =>
    withVast({}, async (fake, client) => {
      const spec = spec4090({gpuCount: undefined as unknown as number, diskGB: Number.NaN})
      await expect(client.search(spec)).rejects.toMatchObject({failure: 'INVALID', status: 400})
      expect(fake.requests).toHaveLength(1)
    }))
})

describe('searching for spot (20)', () => {
  const market = {kind: 'spot', bid: 0.2} as const

  test('counts the bid and the disk, and asks for no more than the bid', () =>
    withVast({}, async (fake, client) => {
      const [offer] = await client.search(spec4090({market}))
      expect(fake.requests[0]?.body).toMatchObject({type: 'bid', min_bid: {lte: 0.2}})
      expect(offer).toMatchObject({hourly: 0.2 + (0.15 * 100) / 720, spec: {market}})
    }))

  test('a row that wants a higher bid is no offer', () =>
    withVast({}, async (fake, client) => {
      const row = {...offerRow(1, {min_bid: 0.21}), dph_total: 0.4}
      fake.faults.inject({fault: {kind: 'edit', edit: () => ({offers: [row]})}})
      await expect(client.search(spec4090({market}))).resolves.toEqual([])
    }))
})
