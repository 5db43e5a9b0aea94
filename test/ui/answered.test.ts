import {expect, test} from '@jest/globals'
import {answered} from '../../src/ui/answered.js'

const named = (name: string) => Object.assign(new Error('closed'), {name})

test('an answer is passed on', async () => {
  await expect(answered(Promise.resolve('yes'))).resolves.toBe('yes')
})
test('Ctrl-C at a question interrupts all that is going on', async () => {
  let count = 0
  const asked = answered(Promise.reject(named('ExitPromptError')), () => (count += 1))
  await expect(asked).rejects.toMatchObject({code: 'INTERRUPTED'})
  expect(count).toBe(1)
})
test('a question that is taken back is interrupted without a second interruption', async () => {
  let count = 0
  const asked = answered(Promise.reject(named('AbortPromptError')), () => (count += 1))
  await expect(asked).rejects.toMatchObject({code: 'INTERRUPTED'})
  expect(count).toBe(0)
})
test('any other failure stays what it is', async () => {
  await expect(answered(Promise.reject(new TypeError('bug')))).rejects.toThrow(TypeError)
})
