import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {randomBytes} from 'node:crypto'
import {readdirSync, readFileSync} from 'node:fs'
import {link, mkdir, readdir, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {pathToFileURL} from 'node:url'
import {sshdAvailable, type Sshd, startSshd} from '../support/sshd.js'
import {answered, sharedHome, startDumont, type Surroundings} from './dumont.js'
import {type Operator, startOperator} from './operator.js'
import {differences, scratch} from './trees.js'

type Victim = 'command' | 'coordinator' | 'engine'

const whereSshdIs = sshdAvailable() ? describe : describe.skip

let folder: string
let workspace: string
let remove: () => Promise<void>
beforeAll(async () => {
  ;({path: folder, remove} = await scratch())
  workspace = join(folder, 'workspace')
  await mkdir(join(workspace, 'many'), {recursive: true})
  for (let n = 0; n < 8; n++) await writeFile(join(workspace, `big-${n}`), randomBytes(9 << 20))
  for (let n = 0; n < 300; n++)
    await writeFile(join(workspace, `many/${n}`), randomBytes(1 + ((n * 977) % 9000)))
  await link(join(workspace, 'big-0'), join(workspace, 'other name'))
})
afterAll(() => remove())

describe('kill -9 on this machine', () => {
  testKills(() => ({host: 'local', surroundings: {}}))
})

whereSshdIs('kill -9 over SSH', () => {
  let sshd: Sshd
  let operator: Operator
  beforeAll(async () => {
    sshd = await startSshd({env: {HOME: sharedHome()}})
    operator = await startOperator(sshd)
  })
  afterAll(async () => {
    await operator.remove()
    await sshd.close()
  })
  testKills(() => ({host: operator.host(sshd), surroundings: {home: operator.home}}))
})

/** Kills a create and a restore in the middle; the same commands again bring everything back, and nothing is left over. */
function testKills(place: () => {host: string; surroundings: Surroundings}): void {
  test.each<[Victim, Victim]>([
    ['command', 'engine'],
    ['coordinator', 'command'],
    ['engine', 'coordinator'],
  ])('of the %s of a create and the %s of a restore', async (first, second) => {
    const {host, surroundings} = place()
    const name = `${host === 'local' ? 'local' : 'ssh'}-${first}`
    let store = ''
    let where: readonly string[] = []
    let create: readonly string[] = []
    const intoStore = (attempt: number): readonly string[] => {
      store = join(folder, `${name}-${attempt}`)
      where = ['--host', host, '--store', pathToFileURL(store).href]
      create = ['snapshot', 'create', ...where, '--name', `${name}-${attempt}`, workspace]
      return create
    }
    await killed(intoStore, {pattern: /"phase":"transfer"/u, surroundings, victim: first})
    expect(await readdir(join(store, 'snapshots')).catch(() => [])).toEqual([])
    const {code, id} = await answered(create, surroundings)
    expect(code).toBe(0)

    let target = ''
    let restore: readonly string[] = []
    const intoTarget = (attempt: number): readonly string[] => {
      target = join(folder, `${name}-restored-${attempt}`)
      restore = ['snapshot', 'restore', id, ...where, '--target', target]
      return restore
    }
    await killed(intoTarget, {pattern: /"phase":"write"/u, surroundings, victim: second})
    expect(await answered(restore, surroundings)).toMatchObject({code: 0})
    expect(await differences(workspace, target)).toEqual([])
    expect((await readdir(target)).filter((each) => each.startsWith('.dumont-'))).toEqual([])

    const verify = ['snapshot', 'verify', id, '--store', pathToFileURL(store).href]
    const decoded = [...verify, '--level', 'decoded', '--sample', '100%']
    expect(await answered(decoded, surroundings)).toMatchObject({code: 0, damaged: []})
  })
}

interface Killing {
  readonly pattern: RegExp
  readonly surroundings: Surroundings
  readonly victim: Victim
}

/**
 * Runs a command until it prints the pattern, kills one process of it, and waits until all have gone. A kill that comes
 * when the work is done already proves nothing: then the next attempt, with a place of its own, has to hit.
 */
async function killed(
  command: (attempt: number) => readonly string[],
  {pattern, surroundings, victim}: Killing,
): Promise<void> {
  let code: number | null = 0
  for (let attempt = 0; attempt < 5 && code === 0; attempt++) {
    const before = new Set(workers().map(({pid}) => pid))
    const running = startDumont([...command(attempt), '--json-stream'], surroundings)
    await running.printed(pattern)
    const ours = workers().filter(({pid}) => !before.has(pid))
    const mine = ours.find(({role}) => role === victim)
    if (mine) process.kill(mine.pid, 'SIGKILL')
    else running.child.kill('SIGKILL')
    ;({code} = await running.ended)
    for (let look = 0; look < 200 && ours.some(isThere); look++)
      await new Promise((resolve) => setTimeout(resolve, 30))
    expect(ours.filter(isThere)).toEqual([])
  }
  expect(code).not.toBe(0)
}

interface Process {
  readonly pid: number
  readonly role: 'coordinator' | 'engine'
}

/** Workers and their engines on this machine that use the tests' home directory. */
function workers(): Process[] {
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger)
  return pids.flatMap((pid): Process[] => {
    const words = commandLine(pid)
    if (!words.some((word) => word.startsWith(sharedHome()))) return []
    if (words.includes('engine')) return [{pid, role: 'engine'}]
    return words.includes('--private') ? [{pid, role: 'coordinator'}] : []
  })
}

function isThere({pid}: Process): boolean {
  return commandLine(pid).length > 0
}

/** Empty for processes that are gone, zombies among them. */
function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter(Boolean)
  } catch {
    return []
  }
}
