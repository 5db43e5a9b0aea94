import {expect, test} from '@jest/globals'
import {codecToEnd} from '../../../src/lib/instances/hibernate-codec.js'

test.each([undefined, 'auto', 'zstd'] as const)(
  'an instance is ended with the codec that restores anywhere where %s was asked for',
  (asked) => {
    expect(codecToEnd(asked, false)).toBe('zstd')
  },
)

test('auto chooses no GPU for what is to be ended, even if a GPU would be accepted', () => {
  expect(codecToEnd('auto', true)).toBe('zstd')
})

test('ANS takes both: its name, and the word that it need not restore anywhere', () => {
  expect(codecToEnd('ans', true)).toBe('ans')
  expect(() => codecToEnd('ans', false)).toThrow(
    expect.objectContaining({code: 'USAGE', hint: expect.stringContaining('--accept-gpu-only')}),
  )
})

test.each(['gzstd', 'none'] as const)('%s restores anywhere, and is taken at its word', (asked) => {
  expect(codecToEnd(asked, false)).toBe(asked)
})
