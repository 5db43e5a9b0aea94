import {describe, expect, test} from '@jest/globals'
import {type ExpectedUse, rankOffers} from '../../../src/lib/providers/rank-offers.js'
import {offerOf} from '../../support/offers.js'

const use: ExpectedUse = {hours: 10, downloadGB: 30}
const idsOf = (offers: Parameters<typeof rankOffers>[0], change: Partial<ExpectedUse> = {}) =>
  rankOffers(offers, {...use, ...change}).map(({offer}) => offer.id)

describe('ranked offers', () => {
  test('are none where there are none', () => {
    expect(rankOffers([], use)).toEqual([])
  })

  test('begin with the lowest cost of the whole use, not of an hour', () => {
    const dearTraffic = offerOf({id: 'dear', hourly: 0.3, downCostPerGB: 0.05})
    const cheapTraffic = offerOf({id: 'cheap', hourly: 0.4})
    expect(idsOf([dearTraffic, cheapTraffic], {hours: 1})).toEqual(['cheap', 'dear'])
    expect(idsOf([dearTraffic, cheapTraffic], {hours: 100})).toEqual(['dear', 'cheap'])
  })

  test('count what later snapshots send', () => {
    const offers = [offerOf({id: 'up', hourly: 0.39, upCostPerGB: 0.1}), offerOf({id: 'flat'})]
    expect(idsOf(offers)).toEqual(['up', 'flat'])
    expect(idsOf(offers, {uploadGB: 30})).toEqual(['flat', 'up'])
  })

  test('of one cost begin with the one that is ready first', () => {
    const offers = [
      offerOf({id: 'slow', hourly: 0, downMbps: 50}),
      offerOf({id: 'fast', hourly: 0, downMbps: 900}),
    ]
    expect(idsOf(offers)).toEqual(['fast', 'slow'])
  })

  test('pay for the time a slow link takes', () => {
    const [slow] = rankOffers([offerOf({downMbps: 100})], {...use, bootMinutes: 5})
    // 30 GB at 100 Mb/s are 2400 s.
    expect(slow?.minutesToReady).toBeCloseTo(45)
    expect(slow?.total).toBeCloseTo(0.4 * (10 + 45 / 60))
  })

  test('prefer the machine of before within 5 %', () => {
    const cheap = offerOf({id: 'cheap', machine: 'other', hourly: 0.4})
    const known = (hourly: number) => offerOf({id: 'known', machine: 'old', hourly})
    expect(idsOf([cheap, known(0.415)], {preferMachine: 'old'})).toEqual(['known', 'cheap'])
    expect(idsOf([cheap, known(0.43)], {preferMachine: 'old'})).toEqual(['cheap', 'known'])
    expect(idsOf([cheap, known(0.415)])).toEqual(['cheap', 'known'])
  })

  test('tell why in one sentence', () => {
    const ranked = rankOffers(
      [
        offerOf({id: 'cheap', machine: 'x', hourly: 0.4, downCostPerGB: 0.01}),
        offerOf({id: 'known', machine: 'old', hourly: 0.44}),
        offerOf({id: 'dear', machine: 'y', hourly: 1}),
      ],
      {...use, preferMachine: 'old'},
    )
    expect(ranked.map(({because}) => because)).toEqual([
      'The same machine as before: $4.47 for 10 h at $0.440/h, ready in about 9 min, $0.11 above the cheapest.',
      'Cheapest in all: $4.36 for 10 h at $0.400/h with $0.30 of traffic, ready in about 9 min.',
      expect.stringMatching(/^\$5\.\d\d more: /),
    ])
  })

  test('never lose an offer, never put a dearer one before a cheaper one but the machine of before', () => {
    let seed = 7
    const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
    for (let round = 0; round < 300; round++) {
      const offers = Array.from({length: Math.floor(random() * 8)}, (_, index) =>
        offerOf({
          id: String(index),
          machine: `m${Math.floor(random() * 4)}`,
          hourly: random() * 3,
          downCostPerGB: random() * 0.05,
          downMbps: random() < 0.2 ? undefined : random() * 2000,
        }),
      )
      const ranked = rankOffers(offers, {...use, preferMachine: 'm1'})
      expect(ranked.map(({offer}) => offer.id).toSorted()).toEqual(
        offers.map(({id}) => id).toSorted(),
      )
      const least = Math.min(...ranked.map(({total}) => total))
      const [first, ...rest] = ranked
      if (first && first.total > least) {
        expect(first.offer.machine).toBe('m1')
        expect(first.total).toBeLessThanOrEqual(least * 1.05)
      }
      const totals = rest.map(({total}) => total)
      expect(totals).toEqual(totals.toSorted((one, other) => one - other))
      for (const {because} of ranked) expect(because).toMatch(/^[^.\n].*[^.]\.$/)
    }
  })
})
