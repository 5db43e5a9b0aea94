import {expect} from '@jest/globals'
import {answered, dumont, type Surroundings} from './dumont.js'

/** The same failure as text and as JSON: same exit code, a message, and what to do about it. */
export async function failure(
  argv: readonly string[],
  surroundings: Surroundings = {},
): Promise<{code: number | null; error: string; text: string}> {
  const text = await dumont(['snapshot', ...argv], surroundings)
  const json = await answered(['snapshot', ...argv], surroundings)
  expect({json: json.code, text: text.code}).toEqual({json: text.code, text: text.code})
  expect(text.stderr).not.toMatch(/\n\s+at .*\(/u)
  return {
    code: text.code,
    error: json.error?.code ?? '',
    text: text.stderr.replaceAll(/\s+/gu, ' '),
  }
}
