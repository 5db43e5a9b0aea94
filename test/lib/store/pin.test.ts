import {describe, expect, test} from '@jest/globals'
import {isExactly, isPinValue, pinOf, startPin} from '../../../src/lib/store/pin.js'
import {skewWarning} from '../../../src/lib/store/skew.js'

const bytes = Buffer.from('123456789')

describe('a pin', () => {
  test('is the checksum S3 means, in base64', () => {
    expect(pinOf('crc32', bytes)).toEqual({
      kind: 'crc32',
      value: Buffer.from('cbf43926', 'hex').toString('base64'),
    })
    expect(pinOf('md5', bytes).value).toBe('JfnnlDI7RTiF9RgfG2JNCw==')
  })

  test.each(['crc32', 'md5'] as const)('does not depend on the pieces (%s)', (kind) => {
    const hasher = startPin(kind)
    hasher.update(bytes.subarray(0, 4))
    hasher.update(bytes.subarray(4))
    expect(hasher.pin()).toEqual(pinOf(kind, bytes))
  })

  test('has one spelling', () => {
    const {value} = pinOf('crc32', bytes)
    expect(isPinValue('crc32', value)).toBe(true)
    expect(isPinValue('crc32', value.replaceAll('=', ''))).toBe(false)
    expect(isPinValue('crc32', pinOf('md5', bytes).value)).toBe(false)
    expect(isPinValue('crc32', '')).toBe(false)
  })
})

describe('proof that a store holds something', () => {
  const pin = pinOf('crc32', bytes)
  const info = {key: 'a', length: 9, modified: 0, pins: [pinOf('md5', bytes), pin]}

  test('is length and checksum together', () => {
    expect(isExactly(info, 9, pin)).toBe(true)
    expect(isExactly({...info, length: 8}, 9, pin)).toBe(false)
    expect(isExactly(info, 9, pinOf('crc32', Buffer.from('other')))).toBe(false)
  })

  test('is never the absence of something', () => {
    expect(isExactly(undefined, 9, pin)).toBe(false)
    expect(isExactly({key: 'a', length: 9, modified: 0}, 9, pin)).toBe(false)
    expect(isExactly({...info, pins: []}, 9, pin)).toBe(false)
    expect(isExactly({...info, pins: [pinOf('md5', bytes)]}, 9, pin)).toBe(false)
  })
})

describe('clock skew', () => {
  test.each([0, 60_000, -60_000])('of %d ms is not worth a word', (skew) => {
    expect(skewWarning(skew)).toBeUndefined()
  })

  test.each([
    [61_000, /61 s behind/],
    [-7_200_000, /7200 s ahead/],
  ])('of %d ms is said', (skew, words) => {
    expect(skewWarning(skew)).toMatch(words)
  })
})
