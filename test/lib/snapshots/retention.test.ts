import {describe, expect, test} from '@jest/globals'
import {planRetention, type RetentionRules} from '../../../src/lib/snapshots/retention.js'
import {manifestOf} from './manifest-of.js'

const HOUR = 3_600_000
const LINEAGE = '1'.repeat(32)

interface Size {
  readonly files?: number
  readonly raw?: number
}

/** A snapshot `hours` after the epoch of the tests, Monday 2026-11-02 00:00 UTC. */
function at(hours: number, {files = 100, raw = 1000}: Size = {}, lineage = LINEAGE) {
  const base = manifestOf('x').manifest
  return manifestOf(`h${hours}-${lineage.slice(0, 1)}`, {
    lineage,
    sequence: hours + 1,
    created: new Date(Date.UTC(2026, 10, 2) + hours * HOUR).toISOString(),
    counts: {...base.counts, files},
    bytes: {...base.bytes, raw},
  })
}

function kept(hours: readonly number[], rules: RetentionRules): number[] {
  const verdicts = planRetention(
    hours.map((hour) => at(hour)),
    rules,
  )
  return verdicts
    .filter(({reasons}) => reasons.length > 0)
    .map(({snapshot}) => snapshot.manifest.sequence - 1)
}

describe('retention keeps', () => {
  test.each<[string, number[], RetentionRules, number[]]>([
    ['the newest N', [0, 1, 2, 3], {last: 2}, [3, 2]],
    ['the newest of each of the last N hours', [0, 0.5, 1, 1.5, 9], {hourly: 2}, [9, 1.5]],
    ['the newest of each of the last N days', [0, 5, 23, 24, 30, 50], {daily: 2}, [50, 30]],
    ['the newest of each of the last N weeks', [0, 167, 168, 335, 336], {weekly: 2}, [336, 335]],
    ['the newest of each of the last N months', [0, 671, 672, 1500], {monthly: 2}, [1500, 672]],
    ['the newest of each of the last N years', [0, 1439, 1440, 1441], {yearly: 2}, [1441, 1439]],
    [
      'what is not older than a while before the newest',
      [0, 1, 8, 9, 10],
      {within: 2 * HOUR},
      [10, 9, 8],
    ],
    ['what any of several rules keeps', [0, 1, 24, 48], {last: 1, daily: 3}, [48, 24, 1]],
    [
      'periods that have a snapshot, however far apart',
      [0, 24 * 40, 24 * 90],
      {daily: 3},
      [2160, 960, 0],
    ],
  ])('%s', (_, hours, rules, expected) => {
    expect(kept(hours, rules)).toEqual(expected)
  })

  test('the newest of a lineage whatever the rules say', () => {
    expect(kept([0, 1, 2], {})).toEqual([2])
    expect(kept([], {last: 1})).toEqual([])
  })

  test('each lineage by itself', () => {
    const other = '2'.repeat(32)
    const verdicts = planRetention([at(0), at(1), at(0, {}, other), at(5, {}, other)], {last: 1})
    expect(verdicts.map(({reasons, snapshot}) => [snapshot.id, reasons])).toEqual([
      ['h5-2', ['newest', 'last']],
      ['h0-2', []],
      ['h1-1', ['newest', 'last']],
      ['h0-1', []],
    ])
  })

  test('what an instance would be woken from', () => {
    const held = new Map([['h0-1', 'hibernated: vast:7']])
    const [, second] = planRetention([at(0), at(1)], {last: 1}, held)
    expect(second?.reasons).toEqual(['hibernated: vast:7'])
  })

  test.each<[string, Size]>([
    ['files', {files: 49}],
    ['bytes', {raw: 499}],
  ])('the last before half of the %s were lost, however many follow', (_, shrunk) => {
    const lineage = [at(0), at(1), at(2, shrunk), at(3, shrunk), at(4, shrunk)]
    const staying = planRetention(lineage, {last: 1}).filter(({reasons}) => reasons.length > 0)
    expect(staying.map(({reasons, snapshot}) => [snapshot.id, reasons])).toEqual([
      ['h4-1', ['newest', 'last']],
      ['h1-1', ['last before it shrank']],
    ])
  })

  test('nothing more once a lineage has grown again', () => {
    const lineage = [at(0), at(1, {files: 10}), at(2), at(3)]
    const staying = planRetention(lineage, {last: 1}).filter(({reasons}) => reasons.length > 0)
    expect(staying.map(({snapshot}) => snapshot.id)).toEqual(['h3-1'])
  })

  test('never less with one more rule, and never more than all', () => {
    const hours = Array.from({length: 60}, (_, n) => n * 7)
    const names = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const
    for (let round = 0; round < 64; round++) {
      const chosen = names.filter((_, bit) => (round >> bit) % 2 === 1)
      const rules = Object.fromEntries(chosen.map((name) => [name, (round % 5) + 1]))
      const more = new Set(kept(hours, {...rules, within: 50 * HOUR}))
      const less = kept(hours, rules)
      expect(less.every((hour) => more.has(hour))).toBe(true)
      expect(more.has(hours.at(-1) ?? -1)).toBe(true)
    }
  })
})
