import {expect, it} from '@jest/globals'
import {
  checkSnapshotId,
  isSnapshotId,
  makeSnapshotId,
  snapshotTime,
} from '../../../src/lib/format/snapshot-id.js'

const NOON = new Date('2026-11-23T14:02:00.987Z')

it('is the time and six characters', () => {
  expect(makeSnapshotId(NOON, Uint8Array.of(0, 25, 26, 31, 32, 255))).toBe(
    '20261123T140200Z-az27a7',
  )
})

it('gives its time back', () => {
  const id = makeSnapshotId(NOON, new Uint8Array(6))
  expect(snapshotTime(id)).toEqual(new Date('2026-11-23T14:02:00Z'))
})

it('is not made of too little chance', () => {
  expect(() => makeSnapshotId(NOON, new Uint8Array(5))).toThrow(RangeError)
})

it.each([
  'latest',
  '',
  '20261123T140200Z',
  '20261123T140200Z-k3f7q',
  '20261123T140200Z-k3f7qzz',
  '20261123T140200Z-K3F7QZ',
  '20261123T140200Z-k3f9qz',
  '20261323T140200Z-k3f7qz',
  '20260231T140200Z-k3f7qz',
  '20261123T250200Z-k3f7qz',
  ' 20261123T140200Z-k3f7qz',
  '20261123T140200Z-k3f7qz\n',
  '../20261123T140200Z-k3f7qz',
])('is not %j', (text) => {
  expect(isSnapshotId(text)).toBe(false)
  expect(() => checkSnapshotId(text)).toThrow(expect.objectContaining({code: 'USAGE'}))
})
