import {expect, test} from '@jest/globals'
import {forecast} from '../../../src/lib/snapshots/codec-forecast.js'

const row = {codec: 'zstd', lanes: 2, raw: 100, seconds: 1, stored: 60}
const bytes = {all: 0, codecs: {}, new: 0, raw: 1000, stored: 0}

test('a codec that is the limit takes the time that its lanes need for everything', () => {
  expect(forecast(row, {bytes, uplink: 10_000})).toEqual({...row, expected: 5, rate: 200})
})

test('an uplink that is the limit takes the time that the stored bytes need', () => {
  expect(forecast(row, {bytes, uplink: 6}).expected).toBe(100)
})

test('an uplink that nobody has seen counts for nothing', () => {
  expect(forecast(row, {bytes}).expected).toBe(5)
})

test('an empty sample tells nothing', () => {
  const nothing = {...row, raw: 0, seconds: 0, stored: 0}
  expect(forecast(nothing, {bytes, uplink: 6})).toEqual({...nothing, expected: 0, rate: 0})
})
