import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {encodeManifest, manifestKey, parseManifest} from '../../../src/lib/format/manifest.js'
import {listSnapshots} from '../../../src/lib/snapshots/list-snapshots.js'
import {pruneSnapshots} from '../../../src/lib/snapshots/prune-snapshots.js'
import {planRetention, requireRule} from '../../../src/lib/snapshots/retention.js'
import {checkedTags} from '../../../src/lib/snapshots/tags.js'
import {benchTop, type BenchTop} from './bench-top.js'
import {manifestOf} from './manifest-of.js'

describe('tags of a command line', () => {
  test('are kept once each, in order', () => {
    expect(checkedTags(['paper', 'best', 'paper', 'größe=7B'])).toEqual([
      'best',
      'größe=7B',
      'paper',
    ])
  })
  test.each(['', ' x', '-x', 'a b', 'a\u001B[31m', 'x'.repeat(65), 'a/b'])('are not %j', (tag) => {
    expect(() => checkedTags([tag])).toThrow(expect.objectContaining({code: 'USAGE'}))
  })
  test('are not more than a manifest has room for', () => {
    expect(() => checkedTags(Array.from({length: 17}, (_, n) => `t${n}`))).toThrow(/at most 16/)
  })
})

describe('a manifest', () => {
  const ID = '20261123T140200Z-aaaaaa'
  test('says its tags', () => {
    const {manifest} = manifestOf(ID, {tags: ['best']})
    expect(parseManifest(encodeManifest(manifest), manifestKey(ID)).tags).toEqual(['best'])
  })
  test.each([[[]], [['a b']], [['\u001B']], [Array.from({length: 17}, (_, n) => `t${n}`)]])(
    'with tags %j is refused',
    (tags) => {
      const text = JSON.stringify({...manifestOf(ID).manifest, tags})
      expect(() => parseManifest(Buffer.from(text), manifestKey(ID))).toThrow(
        expect.objectContaining({code: 'INTEGRITY'}),
      )
    },
  )
})

describe('snapshots with tags', () => {
  let bench: BenchTop
  beforeEach(async () => {
    bench = await benchTop()
  })
  afterEach(() => bench.remove())

  const listed = async (tags: readonly string[]) =>
    (await listSnapshots(bench.service, {tags})).snapshots.map(({id}) => id)

  test('are found by all that are asked for', async () => {
    const both = await bench.create({tags: ['best', 'paper']})
    const one = await bench.create({tags: ['best']})
    await bench.create()
    expect(await listed(['best'])).toEqual([both.id, one.id])
    expect(await listed(['best', 'paper'])).toEqual([both.id])
    expect(await listed(['none'])).toEqual([])
  })
  test('do not hand them on', async () => {
    await bench.create({tags: ['best']})
    const next = await bench.create()
    expect(await listed(['best'])).not.toContain(next.id)
  })
  test('stay with a rule for one of them, and say why', async () => {
    const [first, second] = [await bench.create({tags: ['best']}), await bench.create()]
    await bench.create()
    const result = await pruneSnapshots(
      {confirm: async () => true, dryRun: false, held: new Map(), rules: {tags: ['best', 'x']}},
      bench.service,
    )
    expect(result.removed?.deleted).toEqual([second.id])
    const reasons = new Map(result.verdicts.map((one) => [one.snapshot.id, one.reasons]))
    expect(reasons.get(first.id ?? '')).toEqual(['tag best'])
  })
  test('are a rule by themselves', () => {
    expect(() => requireRule({tags: ['best']})).not.toThrow()
    expect(() => requireRule({tags: []})).toThrow(expect.objectContaining({code: 'USAGE'}))
  })
})

test('a tag keeps a snapshot beside every other rule', () => {
  const [old, newest] = [
    manifestOf('20261101T000000Z-aaaaaa', {sequence: 1, tags: ['v1']}),
    manifestOf('20261102T000000Z-aaaaaa', {sequence: 2}),
  ]
  const verdicts = planRetention([old, newest], {last: 1, tags: ['v1']})
  expect(verdicts.map(({reasons}) => reasons)).toEqual([['newest', 'last'], ['tag v1']])
})
