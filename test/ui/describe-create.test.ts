import {describe, expect, test} from '@jest/globals'
import type {SnapshotSummary} from '../../src/lib/snapshots/create-summary.js'
import {describeCreate} from '../../src/ui/describe-create.js'

const SUMMARY: SnapshotSummary = {
  counts: {dirs: 1, entries: 2, files: 1, others: 0, symlinks: 0, torn: 0, unreadable: 0},
  dryRun: false,
  files: 1,
  id: '20261123T140200Z-k3f7qz',
  incomplete: false,
  label: 'a',
  leftOut: {},
  lineage: '0'.repeat(32),
  newBytes: 1e9,
  notes: {},
  parent: null,
  rawBytes: 1e9,
  reusedPacks: 0,
  seconds: 3,
  skippedMounts: [],
  storedBytes: 6e8,
  warnings: {byCode: {}, count: 0, first: []},
}
const ROW = {codec: 'zstd', lanes: 2, raw: 1000, seconds: 1, stored: 666}
const SAMPLE = [
  {...ROW, expected: 84, rate: 1.6e9},
  {...ROW, codec: 'ans', expected: 12, rate: 2.4e10, stored: 661},
]

describe('the answer of a create', () => {
  test('begins with the id, and says nothing of a codec that was named', () => {
    const lines = describeCreate(SUMMARY).split('\n')
    expect(lines[0]).toBe(SUMMARY.id)
    expect(lines).toHaveLength(2)
  })

  test('says what parity it has, and what of it was sent', () => {
    const parity = {bytes: 64e6, groups: 3, kept: 1, unprotected: 0}
    expect(describeCreate({...SUMMARY, parity})).toMatch(
      /\nparity for 3 groups, 64\.0 MB of it new$/u,
    )
    expect(describeCreate({...SUMMARY, parity: {...parity, unprotected: 2}})).toMatch(
      /new; 2 packs have none$/u,
    )
  })

  test('says in one line what auto took and why', () => {
    const codec = {codec: 'zstd', why: 'zstd: the uplink is the limit (118 MB/s)'}
    expect(describeCreate({...SUMMARY, codec})).toMatch(
      /\ncodec zstd: the uplink is the limit \(118 MB\/s\)$/u,
    )
  })

  test('says whether a GPU is needed to come back', () => {
    const needs = /needs an NVIDIA GPU to come back; dumont snapshot transcode/u
    expect(describeCreate({...SUMMARY, needsGpu: true})).toMatch(needs)
    expect(describeCreate({...SUMMARY, needsGpu: false})).not.toMatch(needs)
  })

  test('keeps a reason of a hostile box in its line', () => {
    const codec = {codec: 'zstd', why: 'zstd: \u001b[2Jgone\nid 1'}
    const last = describeCreate({...SUMMARY, codec})
      .split('\n')
      .at(-1)
    expect(last).not.toContain('\u001b')
    expect(describeCreate({...SUMMARY, codec}).split('\n')).toHaveLength(3)
  })
})

describe('the table of a dry run', () => {
  const {id: _, ...dry} = {...SUMMARY, dryRun: true, sample: SAMPLE}

  test('shows codec, ratio, rate, uplink and expected time', () => {
    const lines = describeCreate({...dry, uplink: 118e6}).split('\n')
    expect(lines.slice(2).map((line) => line.trim().split(/\s{2,}/u))).toEqual([
      ['CODEC', 'RATIO', 'MB/S', 'UPLINK MB/S', 'EXPECTED'],
      ['zstd', '0.666', '1600', '118', '1 min 24 s'],
      ['ans', '0.661', '24000', '118', '12 s'],
    ])
  })

  test('owns up to an uplink that nobody has seen', () => {
    const text = describeCreate(dry)
    expect(text).toMatch(/zstd +0\.666 +1600 +\? +≥ 1 min 24 s/u)
    expect(text).toContain('how fast this box sends to this store is not known before a create')
  })

  test('has nothing to own up to where it was seen', () => {
    expect(describeCreate({...dry, uplink: 118e6})).not.toMatch(/≥|not known/u)
  })

  test('shows no figures of a sample without bytes', () => {
    const sample = [{...ROW, expected: 0, rate: 0, raw: 0, seconds: 0, stored: 0}]
    expect(describeCreate({...dry, sample})).toMatch(/zstd +- +- +\?/u)
  })
})
