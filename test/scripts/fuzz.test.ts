import {execFile} from 'node:child_process'
import {fileURLToPath} from 'node:url'
import {expect, test} from '@jest/globals'

const SCRIPT = fileURLToPath(new URL('../../scripts/fuzz.js', import.meta.url))

const run = (...args: readonly string[]) =>
  new Promise<{code: unknown; stderr: string}>((resolve) => {
    execFile(process.execPath, [SCRIPT, ...args], (error, _, stderr) =>
      resolve({code: error?.code ?? 0, stderr}),
    )
  })

test.each([['frame'], ['cli/../frame'], ['--seconds', 'many', 'cli/frame'], ['--seed', '-1']])(
  'fuzzing is refused for what is no reader or no number: %s',
  async (...args) => {
    const {code, stderr} = await run(...args)
    expect(code).not.toBe(0)
    expect(stderr).toMatch(/cli\/NAME|--seed/)
  },
)
