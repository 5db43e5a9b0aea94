import {randomBytes} from 'node:crypto'
import {mkdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {pathToFileURL} from 'node:url'
import {setTimeout as delay} from 'node:timers/promises'
import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {RUNNING} from '../support/vast/boot-scenarios.js'
import {canContain} from '../support/container.js'
import {makeKey, sshdAvailable} from '../support/sshd.js'
import {containerBoxes, type ContainerBoxes} from '../support/vast/container-boxes.js'
import {type FakeVast, startFakeVast} from '../support/vast/fake-vast.js'
import {PassingClock} from '../support/vast/passing-clock.js'
import {dumont, startDumont, type Outcome} from './dumont.js'
import {scratch} from './trees.js'
import {natives} from './natives.js'
import {SECRET} from './vast-world.js'

const possible = sshdAvailable() && canContain()
const whereContainersAre = possible ? describe : describe.skip
if (!possible) console.warn('SKIPPED: killing dumont needs sshd and the right to make containers')

const SOON = [{afterMs: 0, set: RUNNING}]
/** DUMONT_KILLS=20 kills more often. */
const KILLS = Number(process.env['DUMONT_KILLS'] ?? 2)

whereContainersAre('dumont, killed with -9 and started again', () => {
  let boxes: ContainerBoxes
  let fake: FakeVast
  let folder: string
  let remove: () => Promise<void>
  let id: number
  const shown: string[] = []

  beforeAll(async () => {
    ;({path: folder, remove} = await scratch())
    boxes = await containerBoxes(await natives())
    const lives = Array.from({length: 9}, () => ({boot: SOON}))
    fake = await startFakeVast({box: boxes.make, clock: new PassingClock(), lives: []})
    const ssh = join(folder, 'home/.ssh')
    await mkdir(ssh, {mode: 0o700, recursive: true})
    const key = makeKey(join(ssh, 'id_ed25519'))
    const instance = await fake.rent({env: {HF_TOKEN: SECRET}})
    fake.lives = lives
    ;({id} = instance)
    await instance.attach((await readFile(`${key}.pub`, 'utf8')).trim())
    await writeFile(boxes.of(id).container.at('/workspace/weights'), randomBytes(400_000))
    await writeFile(boxes.of(id).container.at('/workspace/notes'), 'kept')
    // A sealed store gives no receipt without a way back to it.
    const init = ['init', '--yes', '--recovery-file', join(folder, 'recovery'), '--store', url()]
    const {code, stderr} = await dumont(init, {home: join(folder, 'home')})
    if (code !== 0) throw new Error(`the store was not made: ${stderr}`)
  })
  afterAll(async () => {
    await fake?.close()
    await boxes?.close()
    await remove?.()
  })

  const url = () => pathToFileURL(join(folder, 'store')).href
  const run = async (argv: readonly string[], killAfterMs?: number): Promise<Outcome> => {
    const store = ['--store', url(), '--accept-new-host-key']
    const env = {VAST_API_KEY: fake.key, VAST_URL: fake.url}
    const running = startDumont([...argv, ...store], {env, home: join(folder, 'home')})
    if (killAfterMs !== undefined) {
      await Promise.race([delay(killAfterMs), running.ended])
      running.child.kill('SIGKILL')
    }
    const outcome = await running.ended
    shown.push(outcome.stdout, outcome.stderr)
    return outcome
  }
  /** The moments are drawn anew each time; what must hold holds at each. */
  const killed = async (argv: readonly string[]) => {
    for (let kill = 0; kill < KILLS; kill += 1) {
      const after = 700 + Math.floor(Math.random() * 7000)
      process.stderr.write(`killed after ${after} ms: ${argv[1]}\n`)
      await run(argv, after)
    }
  }

  test('ends the box only with a receipt, and wakes one', async () => {
    const sleep = ['instance', 'hibernate', String(id), '--destroy', '--freeze', '--yes']
    await killed(sleep)
    const slept = await run(sleep)
    expect([slept.code, slept.stderr]).toEqual([0, expect.anything()])
    expect(fake.live()).toEqual([])
    expect(fake.requestsTo('destroy').length).toBeGreaterThan(0)
    // The value its environment needs is in the record.
    const up = ['instance', 'wake', String(id), '--yes']
    await killed(up)
    const woken = await run(up)
    // What was ready before the kill is still there: nothing more is to be done.
    expect([0, 75]).toContain(woken.code)
    const live = fake.live()
    expect(live).toHaveLength(1)
    expect(boxes.of(live[0]?.id ?? 0).container.run('cat', '/workspace/notes')).toBe('kept')
    const told = shown.join('')
    for (const secret of [...fake.secrets, SECRET]) expect(told).not.toContain(secret)
    expect(fake.violations).toEqual([])
  }, 400_000)
})
