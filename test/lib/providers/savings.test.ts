import {describe, expect, test} from '@jest/globals'
import {
  type HibernatedBox,
  type HibernationUse,
  savingsOf,
} from '../../../src/lib/providers/savings.js'

const box: HibernatedBox = {
  hourly: 0.4,
  diskGB: 100,
  storagePerGBMonth: 0.15,
  upCostPerGB: 0,
  downCostPerGB: 0,
}
const month: HibernationUse = {
  hours: 720,
  storedBytes: 30e9,
  uploadedBytes: 30e9,
  downloadedBytes: 0,
  minutes: 0,
  writes: 0,
}

type Change = Partial<HibernatedBox & HibernationUse>

function pick<T extends object>(change: Change, of: T): Partial<T> {
  const names = Object.keys(of)
  return Object.fromEntries(
    Object.entries(change).filter(([name]) => names.includes(name)),
  ) as Partial<T>
}

describe('savings', () => {
  test('of a month with 30 GB stored are those of the worked example', () => {
    const {dumont, running, stopped, savedVersusRunning, savedVersusStopped} = savingsOf(box, month)
    expect(running).toBeCloseTo(288)
    expect(stopped).toBeCloseTo(15)
    expect(dumont).toEqual({
      store: expect.closeTo(0.45),
      traffic: 0,
      compute: 0,
      total: expect.closeTo(0.45),
    })
    expect(savedVersusRunning).toBeCloseTo(287.55)
    expect(savedVersusStopped).toBeCloseTo(14.55)
  })

  const dear = {upCostPerGB: 0.01, downCostPerGB: 0.01}
  test.each<[string, Change, 'compute' | 'store' | 'traffic', number]>([
    ['way up and down at $10 a TB', {...dear, downloadedBytes: 30e9}, 'traffic', 0.6],
    ['way up alone as long as it sleeps', dear, 'traffic', 0.3],
    ['minutes of hibernating and waking', {minutes: 15}, 'compute', 0.1],
    ['every write', {storedBytes: 0, writes: 2_000_000}, 'store', 9],
    ['half a month', {hours: 360}, 'store', 0.225],
  ])('count the %s', (_, change, part, expected) => {
    const {dumont} = savingsOf({...box, ...pick(change, box)}, {...month, ...pick(change, month)})
    expect(dumont[part]).toBeCloseTo(expected)
  })

  test('count what a store asks for reading', () => {
    const prices = {perGBMonth: 0.023, perWrite: 0.000_005, egressPerGB: 0.09}
    const use = {...month, downloadedBytes: 30e9}
    expect(savingsOf(box, use, prices).dumont).toMatchObject({
      store: expect.closeTo(0.69),
      traffic: expect.closeTo(2.7),
    })
  })

  test('are a loss after a short sleep with dear traffic', () => {
    const {savedVersusRunning} = savingsOf(
      {...box, upCostPerGB: 0.05},
      {...month, hours: 1, minutes: 10},
    )
    expect(savedVersusRunning).toBeLessThan(0)
  })

  test('against stopping are not told where nothing can be stopped', () => {
    expect(savingsOf({...box, storagePerGBMonth: undefined}, month)).toMatchObject({
      stopped: undefined,
      savedVersusStopped: undefined,
    })
  })

  test.each([Number.NaN, -1, Number.POSITIVE_INFINITY])('are not made of %s', (figure) => {
    expect(() => savingsOf({...box, hourly: figure}, month)).toThrow(RangeError)
    expect(() => savingsOf(box, {...month, hours: figure})).toThrow(RangeError)
  })

  test('add up, whatever the figures', () => {
    let seed = 11
    const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
    for (let round = 0; round < 300; round++) {
      const some: HibernatedBox = {
        hourly: random() * 20,
        diskGB: random() * 2000,
        storagePerGBMonth: random(),
        upCostPerGB: random() * 0.1,
        downCostPerGB: random() * 0.1,
      }
      const use: HibernationUse = {
        hours: random() * 5000,
        storedBytes: random() * 1e12,
        uploadedBytes: random() * 1e12,
        downloadedBytes: random() * 1e12,
        minutes: random() * 200,
        writes: Math.floor(random() * 1e6),
      }
      const {dumont, running, savedVersusRunning, savedVersusStopped, stopped} = savingsOf(
        some,
        use,
      )
      expect(dumont.total).toBeCloseTo(dumont.store + dumont.traffic + dumont.compute)
      expect(savedVersusRunning).toBeCloseTo(running - dumont.total)
      expect(savedVersusStopped).toBeCloseTo((stopped ?? 0) - dumont.total)
      const longer = savingsOf(some, {...use, hours: use.hours * 2})
      expect(longer.running).toBeGreaterThanOrEqual(running)
      expect(longer.dumont.total).toBeGreaterThanOrEqual(dumont.total)
    }
  })
})
