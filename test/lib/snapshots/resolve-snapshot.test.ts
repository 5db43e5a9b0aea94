import {describe, expect, test} from '@jest/globals'
import {DumontError} from '../../../src/lib/errors.js'
import {resolveAny, resolveSnapshot} from '../../../src/lib/snapshots/resolve-snapshot.js'
import {manifestOf, surveyOf} from './manifest-of.js'

const ONE = manifestOf('20261101T000000Z-aaaaaa')
const TWO = manifestOf('20261102T000000Z-bbbbbb', {sequence: 2})
const OTHER = manifestOf('20261103T000000Z-cccccc', {label: 'eval', lineage: '2'.repeat(32)})
const broken = (id: string, code: 'FORMAT_NEWER' | 'INTEGRITY' = 'INTEGRITY') => ({
  id,
  key: `snapshots/${id}.json`,
  error: new DumontError(code, `${id} is bad`),
})

describe('a snapshot is meant', () => {
  test.each([
    [ONE.id, ONE.id],
    ['20261101', ONE.id],
    ['20261103T', OTHER.id],
    ['latest:train', TWO.id],
    ['latest:eval', OTHER.id],
    [`latest:${'2'.repeat(8)}`, OTHER.id],
  ])('by %s', (reference, id) => {
    expect(resolveSnapshot(surveyOf(ONE, TWO, OTHER), reference).id).toBe(id)
  })

  test('by latest where there is one lineage', () => {
    expect(resolveSnapshot(surveyOf(TWO, ONE), 'latest').id).toBe(TWO.id)
  })

  test('by latest and a label', () => {
    expect(resolveSnapshot(surveyOf(ONE, TWO, OTHER), 'latest', 'eval').id).toBe(OTHER.id)
  })
})

describe('no snapshot is meant', () => {
  test.each([
    ['by an unknown id', '2019', /no snapshot 2019/],
    ['by nothing', '', /no snapshot/],
    ['by the beginning of several', '202611', /20261101T000000Z-aaaaaa, 20261102T000000Z-bbbbbb/],
    ['by latest of several lineages', 'latest', /train .*eval|eval .*train/],
    ['by an unknown label', 'latest:nobody', /nobody/],
    ['by a piece of a label', 'latest:trai', /trai/],
  ])('%s', (_name, reference, message) => {
    const resolve = () => resolveSnapshot(surveyOf(ONE, TWO, OTHER), reference)
    expect(resolve).toThrow(message)
    expect(resolve).toThrow(expect.objectContaining({code: 'SNAPSHOT_UNKNOWN'}))
  })

  test('in an empty store', () => {
    expect(() => resolveSnapshot(surveyOf(), 'latest')).toThrow(/holds no snapshot/)
  })

  test('when two lineages share a label', () => {
    const twin = manifestOf('20261104T000000Z-dddddd', {lineage: '3'.repeat(32)})
    expect(() => resolveSnapshot(surveyOf(ONE, twin), 'latest:train')).toThrow(
      /11111111.*33333333|33333333.*11111111/,
    )
  })

  test('and the complaint shows the reference harmlessly', () => {
    expect(() => resolveSnapshot(surveyOf(), '\u001b[2J')).toThrow(/\\u\{1b\}/)
  })
})

describe('an unreadable snapshot', () => {
  test('that is named tells why', () => {
    const survey = {
      readable: [ONE],
      unreadable: [broken('20261109T000000Z-zzzzzz', 'FORMAT_NEWER')],
    }
    expect(() => resolveSnapshot(survey, '20261109')).toThrow(
      expect.objectContaining({code: 'FORMAT_NEWER'}),
    )
  })

  test('that may be newer keeps latest from meaning an older one', () => {
    const survey = {readable: [ONE], unreadable: [broken('20261109T000000Z-zzzzzz')]}
    expect(() => resolveSnapshot(survey, 'latest')).toThrow(/cannot be said/)
  })

  test('that is older does not', () => {
    const survey = {readable: [TWO], unreadable: [broken('20261001T000000Z-zzzzzz')]}
    expect(resolveSnapshot(survey, 'latest').id).toBe(TWO.id)
  })

  test('with a senseless id does', () => {
    const survey = {readable: [TWO], unreadable: [broken('junk')]}
    expect(() => resolveSnapshot(survey, 'latest')).toThrow(/cannot be said/)
  })

  test('alone in the store is no empty store', () => {
    expect(() => resolveSnapshot({readable: [], unreadable: [broken('x')]}, 'latest')).toThrow(
      /is bad/,
    )
  })

  test('can be named for deletion', () => {
    const survey = {readable: [ONE], unreadable: [broken('20261109T000000Z-zzzzzz')]}
    expect(resolveAny(survey, '20261109').id).toBe('20261109T000000Z-zzzzzz')
    expect(() => resolveAny(survey, '2026')).toThrow(/beginning of/)
  })
})
