import {afterAll, beforeAll, beforeEach, describe, expect, test} from '@jest/globals'
import {execFileSync} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {mkdir, readdir, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {commandLine, familyOf, whoStays} from '../robustness/processes.js'
import {type Sshd, sshdAvailable, startSshd} from '../support/sshd.js'
import {findVersitygw} from '../support/versitygw.js'
import {Accidents} from './accident.js'
import {answered} from './dumont.js'
import {testWithMount} from './mounts.js'
import {type Operator, startOperator} from './operator.js'

const whereS3Is = findVersitygw() ? describe : describe.skip
const testWithSshd = sshdAvailable() ? test : test.skip

whereS3Is('after an accident of the box the same command', () => {
  let accidents: Accidents
  beforeAll(async () => {
    accidents = await Accidents.open()
  })
  beforeEach(() => accidents.next())
  afterAll(() => accidents.close())

  test.each(['command', 'worker', 'engine'])('completes when its %s was killed', async (victim) => {
    const running = await accidents.standing()
    const family = familyOf(running.child.pid ?? 0)
    process.kill(pidOf(victim, family), 'SIGKILL')
    expect((await running.ended).code).not.toBe(0)
    expect(await whoStays(family)).toEqual([])
    await accidents.goesOn()
  })

  testWithSshd('completes, without a second run, when its SSH session was cut', async () => {
    const sshd = await startSshd({env: {HOME: accidents.home, TMPDIR: accidents.temporary}})
    const operator = await startOperator(sshd)
    try {
      await cutOff(sshd, operator)
    } finally {
      accidents.at('local', accidents.home)
      await operator.remove()
      await sshd.close()
    }
  })

  const cutOff = async (sshd: Sshd, operator: Operator): Promise<void> => {
    accidents.at(operator.host(sshd), operator.home)
    const running = await accidents.standing()
    const family = await workersAt(accidents.home)
    expect(family.length).toBeGreaterThan(1)
    await sshd.killConnections()
    accidents.proxy.clear()
    // It connects again by itself.
    await accidents.completes(running)
    expect(await whoStays(family)).toEqual([])
    accidents.sentNothingTwice()
    await accidents.isWhole(await accidents.newest())
  }

  testWithMount('completes when the box has booted again meanwhile', async () => {
    const running = await accidents.standing()
    const family = familyOf(running.child.pid ?? 0)
    for (const pid of family.toReversed()) process.kill(pid, 'SIGKILL')
    await running.ended
    expect(await whoStays(family)).toEqual([])
    const boot = join(accidents.folder, 'boot-id')
    await writeFile(boot, `${crypto.randomUUID()}\n`)
    await accidents.goesOn(['unshare', '-m', 'sh', '-e', '-c', BOOT, boot])
  })

  test('completes when it ran against its limit of memory', async () => {
    const running = await accidents.standing()
    const family = familyOf(running.child.pid ?? 0)
    // Not a byte more than they have, from now on.
    for (const pid of family.slice(1))
      execFileSync('prlimit', ['--pid', String(pid), '--as=1000000'])
    accidents.proxy.clear()
    const {code, stderr} = await running.ended
    // It may be done before it needs any.
    expect([0, 69, 70, 75]).toContain(code)
    expect(stderr).not.toMatch(/Traceback/u)
    expect(await whoStays(family)).toEqual([])
    await accidents.goesOn()
  })

  testWithMount('completes when the disk of the box was full', async () => {
    const journal = join(accidents.home, '.cache/dumont/journal')
    await mkdir(journal, {recursive: true})
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'dumont-test', journal])
    try {
      await writeFile(join(journal, 'filler'), randomBytes(64 << 10))
      const full = await answered(accidents.create, accidents.surroundings)
      expect([0, 73]).toContain(full.code)
      expect(full.error?.message ?? '').not.toMatch(/Traceback|bug/u)
    } finally {
      execFileSync('umount', ['-l', journal])
    }
    expect(await answered(accidents.create, accidents.surroundings)).toMatchObject({code: 0})
    expect(await readdir(accidents.temporary)).toEqual([])
  })
})

/** Another boot id, and nothing in what a boot empties. */
const BOOT = `
mount --bind "$0" /proc/sys/kernel/random/boot_id
for place in "$TMPDIR" /run /dev/shm; do mount -t tmpfs dumont-test "$place"; done
exec "$@"`

function pidOf(victim: string, family: readonly number[]): number {
  if (victim === 'command') return family[0] ?? 0
  const isEngine = (pid: number) => commandLine(pid).includes('engine')
  const workers = family
    .slice(1)
    .filter((pid) => commandLine(pid).includes('--private') || isEngine(pid))
  const found = workers.find((pid) => isEngine(pid) === (victim === 'engine'))
  if (found === undefined)
    throw new Error(`no ${victim} among ${family.map(commandLine).join('\n')}`)
  return found
}

/** Processes that use this home of a box. */
async function workersAt(home: string): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter(Number.isInteger)
  return pids.filter((pid) => commandLine(pid).some((word) => word.startsWith(home)))
}
