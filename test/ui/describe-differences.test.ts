import {expect, test} from '@jest/globals'
import {describeDifferences} from '../../src/ui/describe-differences.js'

test.each([
  [
    'what differences have saved',
    {alone: 600_000, raw: 1_000_000, stored: 100_000},
    ': saved 500 kB',
  ],
  // An interrupted run has noted what it stored, not what that would have been alone.
  ['nothing of what nobody knows', {alone: 100_000, raw: 1_000_000, stored: 100_000}, ''],
])('a summary tells %s', (_, delta, saved) => {
  expect(describeDifferences(delta)).toBe(`1.00 MB as differences${saved}`)
})
