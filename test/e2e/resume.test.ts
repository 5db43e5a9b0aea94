import {afterAll, beforeAll, beforeEach, describe, expect, test} from '@jest/globals'
import {execFileSync} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {existsSync, readdirSync} from 'node:fs'
import {mkdir, readdir, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {commandLine, familyOf, whoStays} from '../robustness/processes.js'
import {type Fault, type FaultyProxy, startFaultyProxy} from '../support/faulty-proxy.js'
import {lendHelpers} from '../support/lent-home.js'
import {findVersitygw, startVersitygw, type Versitygw} from '../support/versitygw.js'
import {type Answer, answered, dumont, startDumont} from './dumont.js'
import {testWithMount} from './mounts.js'
import {credentials} from './operator.js'
import {differences, scratch} from './trees.js'

const whereS3Is = findVersitygw() ? describe : describe.skip
/** Of packs that were stored before whatever happens; a further one may be on its way. */
const STORED = 3

whereS3Is('after an accident the same command', () => {
  let server: Versitygw
  let proxy: FaultyProxy
  let folder: string
  let home: string
  let remove: () => Promise<void>
  let number = 0
  beforeAll(async () => {
    ;({path: folder, remove} = await scratch())
    server = await startVersitygw()
    proxy = await startFaultyProxy(server.endpoint)
    home = lendHelpers(join(folder, 'home'))
    await mkdir(join(folder, 'tmp'))
    await mkdir(join(folder, 'workspace'))
    for (let n = 0; n < 10; n++)
      await writeFile(join(folder, 'workspace', `part-${n}`), randomBytes(4 << 20))
  })
  beforeEach(() => {
    proxy.clear()
    number++
  })
  afterAll(async () => {
    await proxy?.close()
    await server?.close()
    await remove()
  })

  const surroundings = () => ({env: {...credentials(server), TMPDIR: join(folder, 'tmp')}, home})
  const store = () => ['--store', `s3://${server.bucket}/${number}`, '--endpoint', proxy.endpoint]
  const create = () => [
    'snapshot',
    'create',
    '--host',
    'local',
    ...store(),
    join(folder, 'workspace'),
  ]
  const packsSent = () =>
    proxy.requests.filter(({method, path}) => method === 'PUT' && path.includes('/packs/')).length
  const packsStored = () => {
    const packs = join(server.root, String(number), 'packs')
    const names = existsSync(packs) ? readdirSync(packs, {encoding: 'utf8', recursive: true}) : []
    return names.filter((name) => /\d+-\d+-\d+$/u.test(name)).length
  }

  /** A create that stands still when some packs are stored and noted. */
  async function standing() {
    proxy.inject({
      fault: {kind: 'stall'},
      method: 'PUT',
      path: /\/packs\//u,
      skip: STORED,
      times: 999,
    })
    const running = startDumont(create(), surroundings())
    await until(
      () => packsStored() >= STORED && proxy.requests.some(({fault}) => fault === 'stall'),
    )
    // The answers still have to reach the worker, and its journal.
    await new Promise((resolve) => setTimeout(resolve, 500))
    return running
  }

  /** The same command: it completes, sends nothing twice, and what it makes is whole and comes back equal. */
  async function goesOn(
    answer: () => Promise<Answer & {code: number | null}> = () =>
      answered(create(), surroundings()),
  ) {
    proxy.clear()
    const done = await answer()
    expect(done).toMatchObject({code: 0})
    expect(packsSent()).toBeGreaterThan(0)
    expect(packsSent()).toBeLessThanOrEqual(packsStored() - STORED)
    const verify = ['snapshot', 'verify', done.id, ...store(), '--level', 'decoded']
    expect(await dumont(verify, surroundings())).toMatchObject({code: 0})
    const target = join(folder, `restored-${number}`)
    await answered(
      ['snapshot', 'restore', done.id, '--host', 'local', ...store(), '--target', target],
      surroundings(),
    )
    expect(await differences(join(folder, 'workspace'), target)).toEqual([])
    await rm(target, {recursive: true})
    expect(await readdir(join(folder, 'tmp'))).toEqual([])
  }

  test.each(['command', 'worker', 'engine'])('completes when its %s was killed', async (victim) => {
    const running = await standing()
    const family = familyOf(running.child.pid ?? 0)
    process.kill(pidOf(victim, family), 'SIGKILL')
    expect((await running.ended).code).not.toBe(0)
    expect(await whoStays(family)).toEqual([])
    await goesOn()
  })

  testWithMount('completes when the box has booted again meanwhile', async () => {
    const running = await standing()
    const family = familyOf(running.child.pid ?? 0)
    for (const pid of family.toReversed()) process.kill(pid, 'SIGKILL')
    await running.ended
    expect(await whoStays(family)).toEqual([])
    const boot = join(folder, 'boot-id')
    await writeFile(boot, `${crypto.randomUUID()}\n`)
    const mount = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
    await goesOn(() =>
      answered(create(), {...surroundings(), through: ['unshare', '-m', 'sh', '-c', mount, boot]}),
    )
  })

  test.each<[string, Fault, RegExp]>([
    ['URLs that have expired', {kind: 'status', status: 403, code: 'ExpiredToken'}, /\/packs\//u],
    [
      'a store that says to slow down',
      {kind: 'status', status: 503, code: 'SlowDown'},
      /\/packs\//u,
    ],
    [
      'a store that counts requests',
      {kind: 'status', status: 429, code: 'TooManyRequests'},
      /\/packs\//u,
    ],
    ['a store that fails', {kind: 'status', status: 500, code: 'InternalError'}, /\/packs\//u],
    ['connections that are reset', {kind: 'cut-request', afterBytes: 100_000}, /\/packs\//u],
  ])('is not even needed for %s', async (_what, fault, path) => {
    proxy.inject({fault, method: 'PUT', path, skip: 1, times: 4})
    const done = await answered(create(), surroundings())
    expect(done).toMatchObject({code: 0})
    expect(proxy.requests.filter((each) => each.fault === fault.kind)).toHaveLength(4)
    const verify = ['snapshot', 'verify', done.id, ...store(), '--level', 'stored']
    expect(await dumont(verify, surroundings())).toMatchObject({code: 0})
    expect(await readdir(join(folder, 'tmp'))).toEqual([])
  })

  testWithMount('completes when the disk of the box was full', async () => {
    const journal = join(home, '.cache/dumont/journal')
    await mkdir(journal, {recursive: true})
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'dumont-test', journal])
    try {
      await writeFile(join(journal, 'filler'), randomBytes(64 << 10))
      const full = await answered(create(), surroundings())
      expect([0, 73]).toContain(full.code)
      expect(full.error?.message ?? '').not.toMatch(/Traceback|bug/u)
    } finally {
      execFileSync('umount', ['-l', journal])
    }
    expect(await answered(create(), surroundings())).toMatchObject({code: 0})
  })
})

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

/** Looks every 20 ms, for a minute at most. */
async function until(happened: () => boolean): Promise<void> {
  for (let look = 0; look < 3000; look++) {
    if (happened()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('waited a minute in vain')
}
