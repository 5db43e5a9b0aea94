import {expect, test} from '@jest/globals'
import {brokenOrders} from '../interleaving/broken-orders.js'
import {brokenCode, realCode} from '../interleaving/code.js'
import {Dice} from './dice.js'
import {QuickEngine} from './quick-engine.js'
import {seed, minutes} from './long-run.js'

const ROUNDS = 400

test(
  'whatever fails, and in whatever order, what was acknowledged can be read',
  async () => {
    const engine = new QuickEngine(new Dice(seed()), await realCode())
    const end = Date.now() + minutes() * 60_000
    for (let round = 0; round < ROUNDS || Date.now() < end; round++) await engine.round()
    const {tally} = engine
    process.stderr.write(
      `quick engine, seed ${seed()}: ${tally.total('fault: ')} faults; ${tally.toString()}\n`,
    )
    expect(await engine.garbage()).toEqual([])
    for (const deed of [
      'create done',
      'create refused',
      'create killed',
      'delete done',
      'prune done',
      'sweep done',
    ])
      expect([deed, tally.of(deed) >= 3]).toEqual([deed, true])
    for (const [deed, least] of [
      ['snapshots acknowledged', 50],
      ['restores compared', 400],
      ['damage reported', 20],
    ] as const)
      expect([deed, tally.of(deed) >= least]).toEqual([deed, true])
    expect(tally.total('fault: ')).toBeGreaterThan(200)
  },
  24 * 3_600_000,
)

test.each(
  brokenOrders
    .filter(({name}) => /manifests again|at once/u.test(name))
    .map((order) => [order.name, order] as const),
)('finds what %s loses', async (name, {breaks}) => {
  const code = await brokenCode(name, breaks)
  const play = async () => {
    // Not every run meets it, and no seed repeats one wholly: names are drawn anew each time.
    for (let number = 1; number <= 40; number++) {
      const engine = new QuickEngine(new Dice(number), code)
      for (let round = 0; round < ROUNDS; round++) await engine.round()
    }
  }
  await expect(play()).rejects.toThrow(/seed \d+, round \d+: /u)
})
