import {describe, expect, test} from '@jest/globals'
import {specOf} from '../../support/offers.js'
import {GPU, gpuType} from '../../support/runpod/fake-runpod.js'
import {useRunpod} from '../../support/runpod/use-runpod.js'

describe('RunPod', () => {
  const desk = useRunpod()
  const spec = specOf({diskGB: 60, image: 'runpod/pytorch:1', ports: ['8888/http']})

  describe('searches', () => {
    test('offers in the data centres that have something left', async () => {
      const offers = await desk.runpod.search(spec)
      expect(offers.map(({id}) => id)).toEqual([`SECURE/US-TX-3/${GPU}`, `SECURE/EU-RO-1/${GPU}`])
      expect(offers[0]).toMatchObject({
        hourly: 0.44 + 6 / 720,
        spec: {gpuName: 'RTX 4090', gpuCount: 1, region: 'US-TX-3', diskGB: 60},
        upCostPerGB: 0,
        downCostPerGB: 0,
      })
    })

    test('in one region, below one price', async () => {
      expect(await desk.runpod.search({...spec, region: 'EU'})).toHaveLength(1)
      expect(await desk.runpod.search({...spec, region: 'ASIA'})).toEqual([])
      expect(await desk.runpod.search(spec, {maxHourly: 0.44})).toEqual([])
    })

    test('for all GPUs of the pod, and a CUDA that is new enough', async () => {
      const [two] = await desk.runpod.search({...spec, gpuCount: 2, cuda: '12.8'})
      expect(two?.hourly).toBeCloseTo(0.88 + 6 / 720)
      expect(Object.fromEntries(desk.fake.server.to('search')[0]?.query ?? [])).toEqual({
        include: 'AVAILABILITY',
        product: 'POD',
        count: '2',
        cloud: 'SECURE',
        minCudaVersion: '12.0',
      })
    })

    test('community hosts only for what was on one', async () => {
      const [first] = await desk.runpod.search({...spec, region: 'COMMUNITY'})
      expect(first).toMatchObject({id: `COMMUNITY/US-TX-3/${GPU}`, hourly: 0.31 + 6 / 720})
      expect(desk.fake.server.to('search')[0]?.query.get('cloud')).toBe('COMMUNITY')
    })

    test.each([
      ['another GPU', gpuType({id: 'NVIDIA L4', name: 'L4'})],
      ['less memory', gpuType({memory: 12})],
      ['no price', gpuType({price: null})],
      ['nothing left', gpuType({availability: 'NONE', dataCenters: []})],
      ['nothing said of what is left', gpuType({availability: undefined, dataCenters: undefined})],
    ])('past a row with %s', async (_, row) => {
      desk.fake.catalog = [row]
      expect(await desk.runpod.search(spec)).toEqual([])
    })

    test('anywhere when no data centre is named', async () => {
      desk.fake.catalog = [gpuType({dataCenters: undefined})]
      expect((await desk.runpod.search(spec)).map(({id}) => id)).toEqual([`SECURE//${GPU}`])
    })

    test('nothing on the spot market', async () => {
      const market = {kind: 'spot', bid: 0.1} as const
      await expect(desk.runpod.search({...spec, market})).rejects.toMatchObject({
        failure: 'INVALID',
      })
    })
  })
})
