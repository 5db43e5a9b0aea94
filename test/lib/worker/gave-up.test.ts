import {expect, test} from '@jest/globals'
import {failureOf} from '../../../src/lib/worker/protocol.js'

test('a worker that gave up by itself was not interrupted by the operator', () => {
  const told = {type: 'error', code: 'INTERRUPTED', message: 'interrupted', retry: false} as const
  expect(failureOf(told)).toMatchObject({code: 'UNREACHABLE', retry: 'later'})
})
