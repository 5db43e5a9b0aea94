import {describe, expect, test} from '@jest/globals'
import {randomBytes} from 'node:crypto'
import {parseSecretText, secretText} from '../../../src/lib/seal/secret-text.js'
import {bytesOf, vectors} from './vectors.js'

const {secret, text} = vectors.secretText

describe('a secret text', () => {
  test('is written as the format says', () => {
    expect(secretText(bytesOf(secret))).toBe(text)
  })

  test.each([
    ['as written', text],
    ['in upper case', text.toUpperCase()],
    ['without hyphens', text.replaceAll('-', '')],
    ['with spaces and line breaks', `  ${text.replaceAll('-', ' \n')}\r\n`],
    ['without its first word', text.slice('dumont-key-'.length)],
  ])('is read %s', (_how, typed) => {
    expect(parseSecretText(typed)?.toString('base64')).toBe(secret)
  })

  test('comes back whatever the secret is', () => {
    for (const bytes of [Buffer.alloc(32), Buffer.alloc(32, 255), randomBytes(32)])
      expect(parseSecretText(secretText(bytes))).toEqual(bytes)
  })

  test('is refused with any one letter changed', () => {
    for (let at = 'dumont-key-'.length; at < text.length; at += 1) {
      if (text[at] === '-') continue
      const changed = text.slice(0, at) + (text[at] === 'a' ? 'b' : 'a') + text.slice(at + 1)
      expect(parseSecretText(changed)).toBeUndefined()
    }
  })

  test.each([
    '',
    'dumont-key',
    text.slice(0, -1),
    `${text}a`,
    'a'.repeat(56),
    'é'.repeat(56),
    '-'.repeat(1e6),
  ])('is not %.40j', (typed) => {
    expect(parseSecretText(typed)).toBeUndefined()
  })
})
