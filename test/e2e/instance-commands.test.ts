import {mkdir, readdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {pathToFileURL} from 'node:url'
import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {canContain} from '../support/container.js'
import {makeKey, sshdAvailable} from '../support/sshd.js'
import {containerBoxes, type ContainerBoxes} from '../support/vast/container-boxes.js'
import {type FakeVast, startFakeVast} from '../support/vast/fake-vast.js'
import {VirtualClock} from '../support/vast/virtual-clock.js'
import {dumont} from './dumont.js'
import {scratch} from './trees.js'
import {natives} from './natives.js'
import {SECRET} from './vast-world.js'

const possible = sshdAvailable() && canContain()
const whereContainersAre = possible ? describe : describe.skip
if (!possible) console.warn('SKIPPED: the commands for instances need sshd and containers')

const RUNNING = {actual_status: 'running', cur_state: 'running', status_msg: 'success'}
const TICK_MS = 50
/** Vendors are asked twice, ten seconds apart, whether an instance is gone. */
const LIMIT_MS = 120_000

whereContainersAre('the commands for instances, as an operator types them', () => {
  let boxes: ContainerBoxes
  let fake: FakeVast
  let home: string
  let id: string
  let remove: () => Promise<void>
  let store: string
  let ticking: NodeJS.Timeout

  beforeAll(async () => {
    ;({path: home, remove} = await scratch())
    store = pathToFileURL(join(home, 'store')).href
    boxes = await containerBoxes(await natives())
    const clock = new VirtualClock(Date.now())
    const boot = [{afterMs: 0, set: RUNNING}]
    fake = await startFakeVast({box: boxes.make, clock, lives: [{boot}]})
    // The command is a process of its own, on the clock of this machine.
    ticking = setInterval(() => clock.advance(TICK_MS), TICK_MS)
    await mkdir(join(home, '.ssh'), {mode: 0o700})
    const key = await readFile(`${makeKey(join(home, '.ssh/id_ed25519'))}.pub`, 'utf8')
    const instance = await fake.rent({env: {HF_TOKEN: SECRET}, label: 'train-a'})
    await instance.attach(key.trim())
    id = String(instance.id)
    await writeFile(boxes.of(id).container.at('/workspace/notes'), 'a month of work')
  })
  afterAll(async () => {
    clearInterval(ticking)
    await fake?.close()
    await boxes?.close()
    await remove?.()
  })

  const run = (...argv: string[]) => command('instance', ...argv)
  const command = async (...argv: string[]) => {
    const env = {VAST_API_KEY: fake.key, VAST_URL: fake.url}
    const outcome = await dumont([...argv, '--store', store], {env, home})
    for (const secret of [fake.key, SECRET])
      expect(`${outcome.stdout}${outcome.stderr}`).not.toContain(secret)
    return outcome
  }

  test(
    'save an instance, end it, show it asleep, and bring it back under a pinned key',
    async () => {
      const hibernate = ['hibernate', id, '--destroy', '--yes', '--name', 'train-a']
      const refused = await run(...hibernate)
      expect(refused.stderr).toMatch(/keys: .*recovery/)
      expect(refused.code).toBe(3)
      expect(fake.live()).toHaveLength(1)

      const slept = await run(...hibernate, '--recovery-file', join(home, 'recovery'))
      expect(slept.stderr).toContain('Destroy the instance')
      expect(slept.stdout).toContain(`vast:${id} is gone, and hibernated`)
      expect(slept.code).toBe(0)
      expect(fake.live()).toEqual([])

      const listed = await run('list')
      expect(listed.stdout).toMatch(new RegExp(`vast:${id} +train-a +hibernated +RTX 4090 .*/mo`))

      const looked = await command('doctor', '--wake', id)
      expect(looked.stdout).toContain('opened again, gave keys that open the snapshot')
      expect(looked.stdout).toContain('1 values are kept in the store, sealed')
      expect(looked.code).toBe(0)

      // The value it had is in the record, which nobody else reads.
      const woken = await run('wake', id, '--yes', '--quiet')
      expect(woken).toMatchObject({code: 0, stderr: ''})
      const [next] = fake.live()
      expect(next?.order['env']).toMatchObject({HF_TOKEN: SECRET})
      expect(woken.stdout.trim()).toBe(`vast:${next?.id}`)
      const {container} = boxes.of(next?.id ?? '')
      expect(await readFile(container.at('/workspace/notes'), 'utf8')).toBe('a month of work')
      const pins = join(home, '.local/state/dumont/known_hosts')
      expect((await readdir(pins)).toSorted()).toEqual([`vast-${id}`, `vast-${next?.id}`])
      expect(fake.violations).toEqual([])
    },
    LIMIT_MS,
  )
})
