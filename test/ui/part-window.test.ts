import {expect, test} from '@jest/globals'
import type {PartProgress} from '../../src/lib/progress/events.js'
import type {TransferState} from '../../src/lib/progress/transfer-state.js'
import {duration, partWindow, totals} from '../../src/ui/part-window.js'

function state(parts: readonly PartProgress[], rawTotal = 2e9): TransferState {
  return {
    at: 0,
    eta: 65_000,
    progress: {
      files: 120,
      filesTotal: 300,
      parts,
      phase: 'transfer',
      raw: 1e9,
      rawTotal,
      stored: 6e8,
      transferred: 6e8,
    },
    rate: 1e8,
    ratio: 0.6,
    rawRate: 1.7e8,
  }
}
const thirtyTwo = Array.from({length: 32}, (_, index): PartProgress => [
  index,
  index * 1e5,
  16e6,
  index === 31 ? 2 : 1,
])

test('32 parts fit on 80×24, the busiest are shown and the rest are counted', () => {
  const lines = partWindow(state(thirtyTwo), 24, 80)
  expect(lines).toHaveLength(12)
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(74)
  expect(lines.at(1)).toContain('part  22')
  expect(lines.at(-2)).toContain('attempt 2')
  expect(lines.at(-1)).toBe('… and 22 more in flight')
})
test('a tiny terminal keeps the totals', () => {
  expect(partWindow(state(thirtyTwo), 10, 40)).toHaveLength(2)
  expect(partWindow(state(thirtyTwo), 10, 40).every((line) => line.length <= 34)).toBe(true)
})
test('80 columns keep bar, share, amount, rate and time to go; what is missing is left out whole', () => {
  expect(partWindow(state(thirtyTwo), 24, 80)[0]).toBe(
    '━━━━────  50 % 1.00 GB of 2.00 GB · 170 MB/s · ratio 0.60 · eta 1 min 05 s',
  )
})
test('40 columns keep bar, share and amount', () => {
  expect(partWindow(state([]), 24, 40)[0]).toBe('━━━━━────  50 % 1.00 GB of 2.00 GB')
})
test('an unknown total shows no bar and no share', () => {
  expect(partWindow(state([], 0), 24, 80)[0]).toMatch(/^1\.00 GB · 120 files/)
})
test('a wide terminal shows a bar with the share', () => {
  expect(partWindow(state([]), 50, 200)[0]).toMatch(/^━{12}─{12} {2}50 % 1\.00 GB of 2\.00 GB/)
})
test('totals are one line for logs too', () => {
  expect(totals(state([]))).toBe(
    '1.00 GB of 2.00 GB · 120 files · 170 MB/s · link 100 MB/s · ratio 0.60 · eta 1 min 05 s',
  )
})
test('durations read as people say them', () => {
  expect([400, 59_000, 65_000, 3_660_000].map(duration)).toEqual([
    '0 s',
    '59 s',
    '1 min 05 s',
    '1 h 01 min',
  ])
})
