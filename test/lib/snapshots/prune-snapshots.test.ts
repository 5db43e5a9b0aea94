import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {
  pruneSnapshots,
  type PrunePlan,
  type PruneRequest,
} from '../../../src/lib/snapshots/prune-snapshots.js'
import {benchTop, type BenchTop} from './bench-top.js'

let bench: BenchTop
beforeEach(async () => {
  bench = await benchTop()
})
afterEach(() => bench.remove())

const prune = (change: Partial<PruneRequest> = {}) =>
  pruneSnapshots(
    {
      confirm: async () => true,
      dryRun: false,
      held: new Map(),
      rules: {last: 1},
      ...change,
    },
    bench.service,
  )
const ids = async () =>
  (await bench.store.keysBelow('snapshots/')).map((key) => key.replace(/^snapshots\/|\.json$/g, ''))

/** Two snapshots, of which the second stands on nothing that is only the first's. */
async function twoSnapshots(): Promise<[string, string]> {
  const first = await bench.create()
  bench.bends.files = {x: 'xylophone', y: 'yacht'}
  const second = await bench.create()
  return [first.id ?? '', second.id ?? '']
}

describe('prune', () => {
  test('deletes what no rule keeps, and says what becomes free', async () => {
    const [first, second] = await twoSnapshots()
    let asked: PrunePlan | undefined
    const result = await prune({
      confirm: async (plan) => {
        asked = plan
        return true
      },
    })
    expect(result.removed?.deleted).toEqual([first])
    expect(await ids()).toEqual([second])
    expect(asked?.freed).toBeGreaterThan(0)
    expect(asked?.verdicts.map(({reasons, snapshot}) => [snapshot.id, reasons.length > 0])).toEqual(
      [
        [second, true],
        [first, false],
      ],
    )
  })

  test('shows everything and touches nothing on a dry run', async () => {
    const [first, second] = await twoSnapshots()
    const asked = async () => {
      throw new Error('a dry run asks nothing')
    }
    const result = await prune({confirm: asked, dryRun: true})
    expect(result.removed).toBeUndefined()
    expect(result.freed).toBeGreaterThan(0)
    expect((await ids()).toSorted()).toEqual([first, second].toSorted())
  })

  test('looks at one lineage only when told to', async () => {
    const [first] = await twoSnapshots()
    const {lineage} = (await prune({dryRun: true})).verdicts[0]?.snapshot.manifest ?? {lineage: ''}
    expect((await prune({dryRun: true, lineage: lineage.slice(0, 8)})).verdicts).toHaveLength(2)
    const other = lineage.startsWith('0') ? '1' : '0'
    await expect(prune({lineage: other.repeat(8)})).rejects.toMatchObject({
      code: 'SNAPSHOT_UNKNOWN',
    })
    expect(await ids()).toContain(first)
  })

  test('deletes nothing when the answer is no', async () => {
    const both = await twoSnapshots()
    await expect(prune({confirm: async () => false})).rejects.toMatchObject({code: 'INTERRUPTED'})
    expect((await ids()).toSorted()).toEqual([...both].toSorted())
  })

  test('keeps what is held', async () => {
    const [first, second] = await twoSnapshots()
    const result = await prune({held: new Map([[first, 'hibernated: vast:7']])})
    expect(result.removed).toBeUndefined()
    expect((await ids()).toSorted()).toEqual([first, second].toSorted())
  })

  test('refuses to run without a rule', async () => {
    await twoSnapshots()
    await expect(prune({rules: {}})).rejects.toMatchObject({code: 'USAGE'})
    await expect(prune({rules: {last: 0}})).rejects.toMatchObject({code: 'USAGE'})
    expect(await ids()).toHaveLength(2)
  })

  test('leaves other labels alone', async () => {
    await twoSnapshots()
    expect((await prune({label: 'another'})).verdicts).toEqual([])
    expect(await ids()).toHaveLength(2)
  })

  test('leaves a damaged snapshot alone, and says that the space is not known', async () => {
    const [first] = await twoSnapshots()
    await bench.store.put('snapshots/20200101T000000Z-abcdef.json', Buffer.from('{'))
    const result = await prune({dryRun: true})
    expect(result).toMatchObject({freed: undefined, unreadable: [{id: '20200101T000000Z-abcdef'}]})
    expect(await ids()).toContain(first)
  })
})
