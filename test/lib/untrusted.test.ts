import {describe, expect, test} from '@jest/globals'
import {untrusted} from '../../src/lib/untrusted.js'

describe('text from a box or a store', () => {
  test.each([
    ['an escape sequence', '\u001B[2J', '\\u{1b}[2J'],
    ['an eight-bit control sequence', '\u009B2J', '\\u{9b}2J'],
    ['a line end', 'a\r\nb', 'a\\u{d}\\u{a}b'],
    ['a line separator', 'a\u2028b', 'a\\u{2028}b'],
    ['a bidirectional override', 'a\u202Etxt.exe', 'a\\u{202e}txt.exe'],
    ['an isolate', 'a\u2066b', 'a\\u{2066}b'],
    ['an Arabic letter mark', 'a\u061Cb', 'a\\u{61c}b'],
    ['an interlinear annotation', 'a\uFFF9b', 'a\\u{fff9}b'],
    ['an invisible tag', 'a\u{E0041}b', 'a\\u{e0041}b'],
  ])('shows %s as what it is', (_what, text, shown) => {
    expect(untrusted(text)).toBe(shown)
  })

  test('keeps letters of all scripts and emoji', () => {
    const text = 'Grüße مرحبا שלום 日本語 👩‍🚀'
    expect(untrusted(text.replaceAll('\u200D', ''))).toBe(text.replaceAll('\u200D', ''))
  })

  test('is cut where it is told to be', () => {
    expect(untrusted('a'.repeat(20), 10)).toBe(`${'a'.repeat(10)}…`)
  })
})
