import {describe, expect, it} from '@jest/globals'
import {
  displayByteString,
  displayBytes,
  fromBase64,
  fromByteString,
  toByteString,
} from '../../../src/lib/format/byte-string.js'

describe('a byte string', () => {
  it('is text where the bytes are UTF-8', () => {
    expect(toByteString(Buffer.from('café\n'))).toBe('café\n')
    expect(fromByteString('café\n')).toEqual(Buffer.from('café\n'))
  })

  it('is base64 where they are not', () => {
    expect(toByteString(Uint8Array.of(0x63, 0xe9))).toEqual({b64: 'Y+k='})
    expect(fromByteString({b64: 'Y+k='})).toEqual(Buffer.of(0x63, 0xe9))
  })

  it('keeps every single byte but NUL', () => {
    for (let byte = 1; byte < 256; byte++)
      expect(fromByteString(toByteString(Uint8Array.of(byte)))).toEqual(Buffer.of(byte))
  })

  it.each([
    [null],
    [undefined],
    [1],
    [[]],
    [{}],
    ['a\0b'],
    ['\uD800'],
    ['\uDC00\uD800'],
    [{b64: 'AA=='}],
    [{b64: 'Y+l='}],
    [{b64: 'Y+k'}],
    [{b64: 'Y-k='}],
    [{b64: 1}],
    [{b64: 'YQ==', more: 1}],
    [{b65: 'YQ=='}],
  ])('is not %j', (value) => {
    expect(() => fromByteString(value)).toThrow(expect.objectContaining({code: 'INTEGRITY'}))
  })
})

it('takes only canonical base64', () => {
  expect(fromBase64('')).toHaveLength(0)
  expect(() => fromBase64('AB==')).toThrow('not canonical base64')
})

describe('for people', () => {
  it('shows strange bytes by their value', () => {
    expect(displayBytes(Buffer.of(0x61, 0xff, 0x0a))).toBe('a\\xff\\u{a}')
    expect(displayByteString({b64: 'Yf8='})).toBe('a\\xff')
  })

  it('shows control characters as escapes', () => {
    expect(displayByteString('a\u001B[2J')).toBe('a\\u{1b}[2J')
    expect(displayBytes(Buffer.from('ü\u202E'))).toBe('ü\\u{202e}')
  })
})
