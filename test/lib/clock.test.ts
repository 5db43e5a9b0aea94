import {expect, test} from '@jest/globals'
import {systemClock} from '../../src/lib/clock.js'

test('who sleeps is woken with the reason of the interruption, not with the fact', async () => {
  const reason = new Error('interrupted; 30000001 is still rented')
  const stop = new AbortController()
  const sleeping = systemClock.sleep(60_000, stop.signal)
  stop.abort(reason)
  await expect(sleeping).rejects.toBe(reason)
})

test('who is interrupted already does not sleep', async () => {
  const reason = new Error('interrupted')
  await expect(systemClock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason)
})
