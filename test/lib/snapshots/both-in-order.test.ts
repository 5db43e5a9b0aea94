import {expect, test} from '@jest/globals'
import {bothInOrder} from '../../../src/lib/snapshots/both-in-order.js'

const failing = async (message: string) => {
  throw new Error(message)
}

test('gives what both give', async () => {
  await expect(bothInOrder(Promise.resolve(1), Promise.resolve('a'))).resolves.toEqual([1, 'a'])
})

test('tells the failure of the first, though the second fails sooner', async () => {
  const late = new Promise<never>((_resolve, reject) => {
    setImmediate(() => reject(new Error('first')))
  })
  await expect(bothInOrder(late, failing('second'))).rejects.toThrow('first')
})

test('rejects no sooner than both have ended', async () => {
  let hasEnded = false
  const slow = new Promise<void>((resolve) => {
    setImmediate(() => {
      hasEnded = true
      resolve()
    })
  })
  await expect(bothInOrder(failing('first'), slow)).rejects.toThrow('first')
  expect(hasEnded).toBe(true)
})
