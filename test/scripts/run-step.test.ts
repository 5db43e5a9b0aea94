import {describe, expect, test} from '@jest/globals'
import {readFile} from 'node:fs/promises'
import {run} from '../../scripts/run-step.js'

describe('a step of the scripts', () => {
  const quiet = {capture: true}

  test('reports status and output', async () => {
    const script = "process.stdout.write('out'); process.exitCode = 3"
    expect(await run([process.execPath, '-e', script], quiet)).toEqual({code: 3, stdout: 'out'})
  })

  test('that cannot be started has status 127', async () => {
    expect(await run(['no-such-program'], quiet)).toEqual({code: 127, stdout: ''})
  })

  test('that takes too long is ended together with what it started', async () => {
    const command = ['bash', '-c', 'sleep 60 & echo $!; wait']
    const {code, stdout} = await run(command, {...quiet, minutes: 1 / 200})
    expect(code).toBe(124)
    await expect(untilGone(Number(stdout))).resolves.toBe(true)
  })
})

/** A zombie that nobody has waited for yet counts as gone. */
async function untilGone(pid: number): Promise<boolean> {
  for (let look = 0; look < 200; look++) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
    if (!/\) [^Z]/u.test(stat)) return true
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return false
}
