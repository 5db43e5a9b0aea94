import {afterEach, beforeEach, expect, test} from '@jest/globals'
import {isDumontError} from '../../../src/lib/errors.js'
import {deleteSnapshots} from '../../../src/lib/snapshots/delete-snapshot.js'
import {surveyManifests} from '../../../src/lib/snapshots/manifests.js'
import {sweepDueMarks} from '../../../src/lib/snapshots/removal.js'
import {verifySnapshot} from '../../../src/lib/snapshots/verify-snapshot.js'
import {benchTop, type BenchTop} from './bench-top.js'

const MINUTE = 60_000
let bench: BenchTop
beforeEach(async () => {
  bench = await benchTop()
})
afterEach(() => bench.remove())

const SEEDS = Array.from({length: 20}, (_, seed) => seed)

test.each(SEEDS)(
  'a create, two deletions at once and a sweep harm no snapshot, in order %i',
  async (seed) => {
    const draw = generator(seed)
    const [first, second] = [await bench.create(), await grown({a: 'apple', c: 'cherry'})]
    bench.bends.files = {a: 'apple', c: 'cherry', d: 'date'}
    const plan = new Map<number, () => Promise<unknown>>([
      [draw(30), () => Promise.all([remove(first.id), remove(second.id)].map(settledOrRefused))],
      [draw(30), () => leap(draw(80) * MINUTE)],
      [draw(30), () => sweepDueMarks(bench.store)],
      [draw(30), () => leap(draw(20) * MINUTE)],
    ])
    let [operations, isInside] = [0, false]
    bench.store.before = async () => {
      if (isInside) return
      isInside = true
      await plan.get(operations++)?.()
      isInside = false
    }
    await settledOrRefused(aliveCreate())
    bench.store.before = () => {}
    await bench.clock.advance(180 * MINUTE)
    await sweepDueMarks(bench.store)
    await expect(damagedSnapshots()).resolves.toEqual([])
  },
)

test.each(SEEDS.slice(0, 10))(
  'of two deletions that share packs one frees them, in order %i',
  async (seed) => {
    const draw = generator(seed)
    const [first, second] = [await bench.create(), await grown({a: 'apple', c: 'cherry'})]
    const kept = await grown({c: 'cherry'})
    const waits = Array.from({length: 200}, () => draw(4))
    bench.store.before = () => turns(waits.pop() ?? 0)
    await Promise.all([remove(first.id), remove(second.id)])
    await bench.clock.advance(61 * MINUTE)
    await sweepDueMarks(bench.store)
    expect(await damagedSnapshots()).toEqual([])
    const survey = await surveyManifests(bench.store)
    expect(survey.readable.map(({id}) => id)).toEqual([kept.id])
    // What held apple and banana is gone, what holds cherry is not.
    expect(await bench.store.keysBelow('packs/')).toHaveLength(1)
  },
)

const remove = (id: string | undefined) =>
  deleteSnapshots({confirm: async () => true, snapshots: [id ?? '?']}, bench.service)

function grown(files: Record<string, string>) {
  bench.bends.files = files
  return bench.create()
}

/** The worker is alive all the time: the clock of a test moves in leaps. */
function aliveCreate() {
  const alive = setInterval(() => bench.workers.at(-1)?.say({type: 'heartbeat'}), 0)
  return bench.create().finally(() => clearInterval(alive))
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

async function leap(milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += MINUTE / 2) {
    bench.workers.at(-1)?.say({type: 'heartbeat'})
    await bench.clock.advance(MINUTE / 2)
  }
}

/** To be refused is fine: to lose something is not. */
async function settledOrRefused(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!isDumontError(error)) throw error
  })
}

async function damagedSnapshots(): Promise<readonly string[]> {
  const {readable, unreadable} = await surveyManifests(bench.store)
  expect(unreadable).toEqual([])
  const damaged: string[] = []
  for (const {id, manifest} of readable) {
    const result = await verifySnapshot(bench.service, {level: 'listed', manifest, sample: 1})
    if (result.damaged.length > 0) damaged.push(id)
  }
  return damaged
}

/** Whole numbers below a bound, the same for the same seed. */
function generator(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 + 1
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c_1b_3c_6d) + 0x9e_37_79_b9) >>> 0
    return (state >>> 8) % below
  }
}
