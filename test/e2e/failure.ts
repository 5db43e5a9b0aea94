import {expect} from '@jest/globals'
import {answered, dumont, type Surroundings} from './dumont.js'

/** The same failure as text and as JSON: the same exit code, no stack; `text` is all that was printed, on one line. */
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
    text: `${text.stdout} ${text.stderr}`.replaceAll(/\s+/gu, ' '),
  }
}
