import {beforeAll, expect, test} from '@jest/globals'
import {brokenOrders} from './broken-orders.js'
import {brokenCode, realCode, type Code} from './code.js'
import {explore, SHARED, type Bounds, type Exploration} from './explore.js'
import {scenes} from './scenes.js'

/** `npm run interleaving` looks everywhere; here are the seconds that a test may take. */
const isLong = process.env['DUMONT_INTERLEAVING'] === 'long'
const BOUNDS: readonly Bounds[] = isLong
  ? [{preemptions: 2, points: SHARED}, {preemptions: 1}, {points: SHARED, preemptions: 1, kills: 1}]
  : [{preemptions: 2, points: SHARED, kills: 1, runs: 200}]
const LIMIT_MS = isLong ? 6 * 3_600_000 : 120_000

let code: Code
beforeAll(async () => {
  code = await realCode()
})

test.each(scenes.map((scene) => [scene.name, scene] as const))(
  '%s lose nothing, in whatever order',
  async (name, scene) => {
    for (const bounds of BOUNDS) {
      const found = await explore(scene, code, bounds)
      say(name, bounds, found)
      expect(found.loss).toBeUndefined()
      // Neither an order in which everything is refused nor a search that finds one end proves anything.
      expect(found.ends).toBeGreaterThan(20)
      expect(found.peaceful).toBeGreaterThan(found.ends / 4)
      expect(found.complete || !isLong).toBe(true)
    }
  },
  LIMIT_MS,
)

test.each(brokenOrders.map((order) => [order.name, order] as const))(
  'the search finds what %s loses',
  async (name, {breaks, preemptions, scene}) => {
    const broken = await brokenCode(name, breaks)
    const found = await explore(scene, broken, {preemptions, points: SHARED, runs: 3000})
    expect(found.loss?.what).toMatch(/^snapshots\/.* needs (?:index|packs|parity)\/|is gone$/u)
  },
)

function say(name: string, bounds: Bounds, {complete, ends, refusals, runs, states}: Exploration) {
  const refused = [...refusals].map(([error, count]) => `${count} ${error}`).join(', ')
  process.stderr.write(
    `${name}: ${runs} runs, ${states} states, ${ends} ends` +
      `${refused && ` (refused: ${refused})`}${complete ? ', all there are' : ''}` +
      ` with ${JSON.stringify({...bounds, points: bounds.points ? 'shared' : 'all'})}\n`,
  )
}
