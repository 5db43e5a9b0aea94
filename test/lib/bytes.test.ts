import {expect, test} from '@jest/globals'
import {formatBytes, parseBytes} from '../../src/lib/bytes.js'

test('sizes are read in binary and decimal units', () => {
  expect(['4096', '1KiB', '1 kB', '1.5GiB', '512m'].map(parseBytes)).toEqual([
    4096, 1024, 1000, 1_610_612_736, 536_870_912,
  ])
})
test('what is no size is no size', () => {
  expect(['', '-1', 'GiB', '1XB', '1e9', '99999999TiB'].map(parseBytes)).toEqual(
    Array.from({length: 6}, () => undefined),
  )
})
test('sizes are shown with three digits', () => {
  expect([0, 999, 1000, 12_345, 999_499, 999_600, 1_730_000_000].map(formatBytes)).toEqual([
    '0 B',
    '999 B',
    '1.00 kB',
    '12.3 kB',
    '999 kB',
    '1.00 MB',
    '1.73 GB',
  ])
})
