import {describe, expect, test} from '@jest/globals'
import {
  chooseLineage,
  defaultLabel,
  type LineageQuestion,
} from '../../../src/lib/snapshots/lineage.js'
import {manifestOf} from './manifest-of.js'

const HERE = 'b'.repeat(64)
const ELSEWHERE = 'e'.repeat(64)
const ONE = '20261101T000000Z-aaaaaa'
const TWO = '20261102T000000Z-aaaaaa'

const choose = (question: Partial<LineageQuestion>) =>
  chooseLineage({
    label: 'train',
    roots: ['/workspace'],
    box: HERE,
    restored: [],
    manifests: [],
    ...question,
  })
const restored = (snapshot: string, complete = true, roots = ['/workspace']) => ({
  lineage: '1'.repeat(32),
  snapshot,
  roots,
  complete,
})

test('a first snapshot begins a lineage without a word', () => {
  expect(choose({})).toEqual({reuse: false})
})

describe('the same box and paths', () => {
  test('continue the newest snapshot and reuse its chunks', () => {
    const manifests = [manifestOf(ONE), manifestOf(TWO, {sequence: 2})]
    expect(choose({manifests})).toMatchObject({parent: {id: TWO}, reuse: true})
  })

  test('go by sequence, not by what the id or a clock says', () => {
    const manifests = [
      manifestOf(ONE, {sequence: 2, created: '2020-01-01T00:00:00Z'}),
      manifestOf(TWO),
    ]
    expect(choose({manifests})).toMatchObject({parent: {id: ONE}})
  })

  test('are the same with a slash at the end, given twice, or given through a link', () => {
    const manifests = [
      manifestOf(ONE, {roots: [{path: '/data/ws', given: '/workspace', type: 'dir'}]}),
    ]
    for (const roots of [['/workspace/'], ['/workspace', '/workspace/inner'], ['/data/ws']])
      expect(choose({manifests, roots})).toMatchObject({parent: {id: ONE}})
  })

  test('under another name begin another lineage', () => {
    expect(choose({manifests: [manifestOf(ONE, {label: 'other'})]})).toEqual({reuse: false})
  })
})

test.each([[['/workspace', '/data']], [['/data']], [['/work']]])(
  'other paths %j begin another lineage and say so',
  (roots) => {
    const choice = choose({manifests: [manifestOf(ONE)], roots})
    expect(choice).toMatchObject({reuse: false, note: expect.stringContaining('other paths')})
    expect(choice.parent).toBeUndefined()
  },
)

describe('another box behind the same name', () => {
  const manifests = [manifestOf(ONE, {box: ELSEWHERE})]

  test('begins another lineage and says so', () => {
    expect(choose({manifests})).toMatchObject({
      reuse: false,
      note: expect.stringContaining('another box'),
    })
  })

  test('continues when it was restored from the newest snapshot', () => {
    expect(choose({manifests, restored: [restored(ONE)]})).toMatchObject({
      parent: {id: ONE},
      reuse: true,
    })
  })

  test('reads everything again when that restore was not complete', () => {
    expect(choose({manifests, restored: [restored(ONE, false)]})).toMatchObject({
      parent: {id: ONE},
      reuse: false,
    })
  })

  test('goes by the last restore of these paths', () => {
    const twice = [restored(ONE, true), restored(ONE, false)]
    expect(choose({manifests, restored: twice})).toMatchObject({reuse: false})
  })

  test('begins another lineage when others have gone on since', () => {
    const both = [...manifests, manifestOf(TWO, {box: ELSEWHERE, sequence: 2})]
    expect(choose({manifests: both, restored: [restored(ONE)]}).parent).toBeUndefined()
  })

  test('begins another lineage for paths that were not restored', () => {
    expect(choose({manifests, restored: [restored(ONE, true, ['/data'])]}).parent).toBeUndefined()
  })
})

test('of two lineages with one name a box continues its own', () => {
  const own = manifestOf(ONE)
  const foreign = manifestOf(TWO, {
    box: ELSEWHERE,
    lineage: '2'.repeat(32),
    created: '2027-01-01T00:00:00Z',
  })
  expect(choose({manifests: [own, foreign]})).toMatchObject({parent: {id: ONE}})
})

test('a restored box is told how to go on with what it came from', () => {
  const manifests = [manifestOf(ONE, {label: 'train-a', box: ELSEWHERE})]
  expect(choose({manifests, restored: [restored(ONE)]}).note).toContain('--name train-a')
})

test('a label from the store cannot drive the terminal', () => {
  const manifests = [manifestOf(ONE, {label: '\u001b[2J', box: ELSEWHERE})]
  expect(choose({manifests, restored: [restored(ONE)]}).note).toContain('\\u{1b}')
})

test('the default label is host, port and the first path', () => {
  expect(defaultLabel('root@gpu1:2222', ['/workspace/'])).toBe('gpu1:2222:/workspace')
  expect(defaultLabel('local', ['/data'])).toBe('local:/data')
})
