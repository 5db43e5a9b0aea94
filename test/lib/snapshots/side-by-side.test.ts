import {expect, test} from '@jest/globals'
import {sideBySide} from '../../../src/lib/snapshots/side-by-side.js'

const never = (signal: AbortSignal) =>
  new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('ended')))
  })

test('the work gets what its side gives', async () => {
  await expect(
    sideBySide(
      async () => 2,
      async (side) => 40 + (await side),
    ),
  ).resolves.toBe(42)
})

test('a side that fails ends the work, and is what is told', async () => {
  const failing = async () => {
    throw new Error('no store')
  }
  await expect(sideBySide(failing, (_side, signal) => never(signal))).rejects.toThrow('no store')
})

test('work that fails ends its side, and is what is told', async () => {
  let hasEnded = false
  const side = (signal: AbortSignal) =>
    never(signal).finally(() => {
      hasEnded = true
    })
  const failing = async () => {
    throw new Error('no box')
  }
  await expect(sideBySide(side, failing)).rejects.toThrow('no box')
  expect(hasEnded).toBe(true)
})

test('an interruption ends both', async () => {
  const interruption = new AbortController()
  const running = sideBySide(never, (_side, signal) => never(signal), interruption.signal)
  interruption.abort()
  await expect(running).rejects.toThrow('ended')
})
