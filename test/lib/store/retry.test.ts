import {describe, expect, test} from '@jest/globals'
import {type Fault, withRetry} from '../../../src/lib/store/retry.js'
import {ShiftedClock} from '../../support/shifted-clock.js'

describe('retrying', () => {
  const failing = (times: number) => async (attempt: number) => {
    if (attempt <= times) throw new Error('failed')
    return attempt
  }
  const policy = (fault: Fault | undefined, random = () => 0.5) => ({
    attempts: 5,
    clock: new ShiftedClock(),
    random,
    faultOf: () => fault,
  })

  test('ends with the first success', async () => {
    expect(await withRetry(failing(3), policy('broken'))).toBe(4)
  })

  test('ends after the last attempt with its error', async () => {
    await expect(withRetry(failing(9), policy('broken'))).rejects.toThrow('failed')
  })

  test('does not repeat what is final', async () => {
    await expect(withRetry(failing(1), policy(undefined))).rejects.toThrow('failed')
  })

  test('waits longer each time, longer still for a busy store, and never evenly', async () => {
    const [broken, busy, late] = [policy('broken'), policy('busy'), policy('broken', () => 0.999)]
    await withRetry(failing(4), broken)
    await withRetry(failing(4), busy)
    await withRetry(failing(4), late)
    expect(broken.clock.slept).toEqual([150, 300, 600, 1200])
    expect(busy.clock.slept).toEqual([750, 1500, 3000, 6000])
    expect(late.clock.slept).not.toEqual(broken.clock.slept)
  })

  test('stops when the caller does', async () => {
    const stop = new AbortController()
    const attempt = async () => {
      stop.abort()
      throw new Error('failed')
    }
    await expect(withRetry(attempt, policy('broken'), stop.signal)).rejects.toThrow('failed')
    await expect(withRetry(attempt, policy('broken'), stop.signal)).rejects.toMatchObject({
      code: 'INTERRUPTED',
    })
  })
})
