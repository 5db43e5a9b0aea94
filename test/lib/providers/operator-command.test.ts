import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {mkdtemp, readFile, rm, stat} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {runOperatorCommand} from '../../../src/lib/providers/operator-command.js'

const LONG = 30_000

describe('a command of the operator', () => {
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'dumont-command-'))
  })
  afterEach(() => rm(folder, {recursive: true}))

  const run = (line: string, data: unknown = {}, timeoutMs = LONG, signal?: AbortSignal) =>
    runOperatorCommand(line, data, timeoutMs, signal)
  /** What ended but was not yet collected by its parent is no longer alive. */
  const isAlive = (pid: number) =>
    readFile(`/proc/${pid}/stat`, 'utf8').then(
      (line) => !/\) [ZX] /.test(line),
      () => false,
    )
  const untilDead = async (pid: number) => {
    for (let turn = 0; turn < 5000 && (await isAlive(pid)); turn++)
      await new Promise((resolve) => setImmediate(resolve))
    return !(await isAlive(pid))
  }

  test('gets what it is about as JSON, and tells what it says', async () => {
    const data = {name: 'lab', host: "it's; touch $(x) `y`"}
    expect(await run('cat; echo problem >&2', data)).toEqual({
      code: 0,
      timedOut: false,
      stdout: `${JSON.stringify(data)}\n`,
      stderr: 'problem\n',
    })
  })

  test('never has it in its line, its arguments or its environment', async () => {
    const {stdout} = await run('tr "\\0" " " < /proc/$$/cmdline; env', {secret: 'needle-in-data'})
    expect(stdout).not.toContain('needle-in-data')
  })

  test('need not read it', async () => {
    expect(await run('exec true', {text: 'x'.repeat(1_000_000)})).toMatchObject({code: 0})
  })

  test('may fail', async () => {
    expect(await run('exit 7')).toMatchObject({code: 7, timedOut: false})
    expect(await run('kill -9 $$')).toMatchObject({code: undefined, timedOut: false})
    expect(await run('no-such-program-here')).toMatchObject({
      code: 127,
      stderr: expect.stringMatching(/not found/),
    })
  })

  test('may say much, of which the first is kept', async () => {
    const {code, stdout} = await run('yes | head -c 5000000')
    expect(code).toBe(0)
    expect(stdout).toHaveLength(64 * 1024)
  })

  test('is ended in time, with all it started', async () => {
    const outcome = await run('sleep 1000 & echo $!; wait', {}, 300)
    expect(outcome).toMatchObject({code: undefined, timedOut: true})
    expect(await untilDead(Number(outcome.stdout))).toBe(true)
  })

  test('is ended when interrupted', async () => {
    const controller = new AbortController()
    const file = path.join(folder, 'pid')
    const running = run(`echo $$ > ${file}; sleep 1000`, {}, LONG, controller.signal)
    while (
      !(await stat(file).then(
        ({size}) => size > 0,
        () => false,
      ))
    )
      await new Promise((resolve) => setImmediate(resolve))
    const reason = new Error('stop')
    controller.abort(reason)
    await expect(running).rejects.toBe(reason)
    expect(await untilDead(Number(await readFile(file, 'utf8')))).toBe(true)
  })

  test('is not even started when it was interrupted before', async () => {
    const file = path.join(folder, 'started')
    await expect(run(`touch ${file}`, {}, LONG, AbortSignal.abort())).rejects.toThrow()
    await expect(stat(file)).rejects.toMatchObject({code: 'ENOENT'})
  })

  test('may leave a program running, which is not waited for', async () => {
    const {code, stdout} = await run('sleep 1000 & echo $!')
    expect(code).toBe(0)
    const pid = Number(stdout)
    expect(await isAlive(pid)).toBe(true)
    process.kill(pid, 'SIGKILL')
  })
})
