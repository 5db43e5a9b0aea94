import {expect, test} from '@jest/globals'
import type {TransferProgress} from '../../../src/lib/progress/events.js'
import {advance, type TransferState} from '../../../src/lib/progress/transfer-state.js'

const progress = (change: Partial<TransferProgress>): TransferProgress => ({
  phase: 'transfer',
  files: 0,
  filesTotal: 0,
  raw: 0,
  rawTotal: 0,
  stored: 0,
  transferred: 0,
  parts: [],
  ...change,
})

/** One message every 200 ms, each with what `at` gives. */
function after(messages: number, at: (n: number) => Partial<TransferProgress>): TransferState {
  let state: TransferState | undefined
  for (let n = 0; n <= messages; n++) state = advance(state, progress(at(n)), n * 200)
  if (!state) throw new Error('no message')
  return state
}

test('the first message says nothing about speed', () => {
  expect(after(0, () => ({raw: 100, rawTotal: 1000}))).toMatchObject({
    rate: 0,
    rawRate: 0,
    eta: undefined,
  })
})

test('a steady transfer shows its rate and the time left', () => {
  const state = after(50, (n) => ({raw: n * 200, rawTotal: 20_000, transferred: n * 100}))
  expect(state.rawRate).toBeCloseTo(1000)
  expect(state.rate).toBeCloseTo(500)
  expect(state.eta).toBe(10_000)
})

test('the rate follows a change within about ten seconds', () => {
  const state = after(100, (n) => ({transferred: n <= 50 ? n * 200 : 10_000 + (n - 50) * 2000}))
  expect(state.rate).toBeGreaterThan(8500)
  expect(state.rate).toBeLessThan(10_001)
})

test('bytes that are taken back are not a negative rate', () => {
  const state = after(50, (n) => ({transferred: n === 50 ? 0 : n * 100, raw: n * 100}))
  expect(state.rate).toBeGreaterThan(0)
  expect(state.progress.transferred).toBe(0)
})

test('a stall lets the rate sink and the time left rise', () => {
  const before = after(50, (n) => ({raw: n * 200, rawTotal: 20_000}))
  const state = after(75, (n) => ({raw: Math.min(n, 50) * 200, rawTotal: 20_000}))
  expect(state.rawRate).toBeLessThan(before.rawRate / 2)
  expect(state.eta).toBeGreaterThan(before.eta ?? 0)
})

test('nothing is said of the time left while the scan still counts, or when all is done', () => {
  expect(after(9, (n) => ({raw: n * 10})).eta).toBeUndefined()
  expect(after(9, (n) => ({raw: n * 10, rawTotal: 90})).eta).toBeUndefined()
})

test('the ratio is stored by raw, and nothing before something was stored', () => {
  expect(after(1, () => ({raw: 100, stored: 60})).ratio).toBeCloseTo(0.6)
  expect(after(1, () => ({raw: 100})).ratio).toBeUndefined()
})

test('two messages at one moment divide nothing by zero', () => {
  const state = advance(advance(undefined, progress({raw: 1}), 5), progress({raw: 9}), 5)
  expect(state).toMatchObject({rate: 0, rawRate: 0})
})
