import {execFileSync} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {mkdir, readdir, rm, symlink, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from '@jest/globals'
import {exitCodeOfHibernate} from '../../src/lib/instances/hibernate.js'
import {listInstances} from '../../src/lib/instances/instance-list.js'
import {exitCodeOfWake} from '../../src/lib/instances/wake.js'
import {canContain} from '../support/container.js'
import {sshdAvailable} from '../support/sshd.js'
import {findVersitygw, startVersitygw, type Versitygw} from '../support/versitygw.js'
import {differences} from './trees.js'
import {hibernateOf, SECRET, VastWorld} from './vast-world.js'

const possible = sshdAvailable() && canContain()
const whereContainersAre = possible ? describe : describe.skip
if (!possible) console.warn('SKIPPED: hibernating needs sshd and the right to make containers')
const whereS3IsToo = possible && findVersitygw() !== undefined ? describe : describe.skip

/** A workspace with a little of everything. */
async function fill(world: VastWorld, id: number): Promise<void> {
  const at = (path: string) => world.box(id).container.at(path)
  await mkdir(at('/workspace/run'), {recursive: true})
  await writeFile(at('/workspace/run/weights'), randomBytes(300_000))
  await writeFile(at('/workspace/run/\u00FCnicode name'), 'a')
  await writeFile(at('/workspace/notes'), 'first')
  await writeFile(at('/workspace/secret'), 'x', {mode: 0o600})
  await symlink('run/weights', at('/workspace/latest'))
}

whereContainersAre('hibernating a real box', () => {
  let world: VastWorld
  let id: number
  beforeEach(async () => {
    world = await VastWorld.open()
    ;({id} = await world.rent())
    await fill(world, id)
  })
  afterEach(() => world?.close())

  const listed = async () => {
    const service = await world.service()
    return (await listInstances([service.provider], service)).instances
  }

  test('brings it back equal on another machine, and its lineage goes on', async () => {
    const copy = join(world.folder, 'copy')
    execFileSync('cp', ['-a', world.box(id).container.at('/workspace'), copy])
    const slept = await world.hibernate(id)
    expect(slept).toMatchObject({reasons: [], state: 'hibernated', stillHourly: 0})
    expect(slept.receipt?.checks.map(({rule}) => rule)).toEqual(
      expect.arrayContaining(['census', 'disk', 'endurance', 'identity', 'packs', 'stillness']),
    )
    expect(exitCodeOfHibernate(slept)).toBe(0)
    expect(world.deletes).toBe(1)
    expect(world.fake.live()).toEqual([])
    expect(await listed()).toMatchObject([{id: String(id), state: 'hibernated'}])
    const woken = await world.wake(id)
    expect(woken).toMatchObject({failures: [], kind: 'woken', leaks: []})
    expect(exitCodeOfWake(woken)).toBe(0)
    const next = woken.machines[0]?.instance.id ?? ''
    expect(world.fake.live().map((one) => String(one.id))).toEqual([next])
    expect(await differences(copy, world.box(next).container.at('/workspace'))).toEqual([])

    await writeFile(world.box(next).container.at('/workspace/notes'), 'second')
    const again = await world.hibernate(next)
    expect(again).toMatchObject({state: 'hibernated'})
    const {lineage, sequence, storedBytes} = slept.snapshot
    expect(again.snapshot).toMatchObject({lineage, sequence: sequence + 2})
    // An increment: what was restored is not sent again.
    expect(again.snapshot.storedBytes).toBeLessThan(storedBytes + 20_000)
    const third = await world.wake(next)
    const last = world.box(third.machines[0]?.instance.id ?? '').container
    expect(last.run('cat', '/workspace/notes')).toBe('second')
    expect(await world.everythingTold()).not.toContain(SECRET)
    expect(world.fake.violations).toEqual([])
    expect(world.fake.spacing.tooSoon).toEqual([])
  })

  test('without an end protects it; with --stop stops it; waking starts it again', async () => {
    const kept = await world.hibernate(id, {goal: 'protect'})
    expect(kept.state).toBe('protected')
    expect(kept.stillHourly).toBeCloseTo(0.3708, 3)
    await expect(world.wake(id)).rejects.toMatchObject({code: 'INSTANCE_BUSY'})
    const stopped = await world.hibernate(id, {goal: 'stop'})
    expect(stopped).toMatchObject({reasons: [], state: 'stopped'})
    const {kind, machines} = await world.wake(id)
    expect({kind, machines}).toMatchObject({
      kind: 'started',
      machines: [{instance: {id: String(id)}, restored: undefined}],
    })
    expect(world.box(id).container.run('cat', '/workspace/notes')).toBe('first')
    expect(world.deletes).toBe(0)
    expect(await world.hibernate(id)).toMatchObject({state: 'hibernated'})
  })

  test('with --stop-processes ends what writes, with --freeze halts it', async () => {
    const write = 'exec 3>>/workspace/log; while :; do echo x >&3; sleep 0.1; done'
    world.box(id).container.run('sh', '-c', `setsid sh -c '${write}' </dev/null >/dev/null 2>&1 &`)
    await expect(world.hibernate(id)).rejects.toMatchObject({
      code: 'INCOMPLETE',
      message: expect.stringContaining('/workspace/log'),
    })
    const frozen = await world.hibernate(id, {busy: 'freeze', goal: 'protect'})
    expect(frozen.state).toBe('protected')
    await world.hibernate(id, {busy: 'freeze', confirm: async () => false})
    const size = () => Number(world.box(id).container.run('stat', '-c', '%s', '/workspace/log'))
    const before = size()
    world.box(id).container.run('sleep', '0.3')
    expect(size()).toBeGreaterThan(before)
    expect(await world.hibernate(id, {busy: 'freeze'})).toMatchObject({state: 'hibernated'})
  })

  test('tells hooks on the box, and runs what comes after also when it is refused', async () => {
    const run = (...argv: string[]) => world.box(id).container.run(...argv)
    run('mkdir', '-p', '/opt/mine')
    run('touch', '/opt/mine/work')
    await expect(
      world.hibernate(id, {postHook: 'cat >/tmp/post', preHook: 'cat >/tmp/pre'}),
    ).rejects.toMatchObject({code: 'INCOMPLETE', message: expect.stringContaining('census')})
    expect(JSON.parse(run('cat', '/tmp/pre'))).toMatchObject({event: 'pre-hook', goal: 'destroy'})
    expect(JSON.parse(run('cat', '/tmp/post'))).toMatchObject({event: 'post-hook'})
    await expect(world.hibernate(id, {preHook: 'exit 3'})).rejects.toMatchObject({
      code: 'INCOMPLETE',
    })
    expect(world.deletes).toBe(0)
  })
})

whereContainersAre('no box is ended', () => {
  let world: VastWorld
  let id: number
  beforeAll(async () => {
    world = await VastWorld.open()
    ;({id} = await world.rent())
    await fill(world, id)
  })
  afterAll(() => world?.close())
  afterEach(() => {
    const {beforeTake, afterTake} = QUIET
    Object.assign(world, {afterTake, beforeTake})
    expect(world.deletes).toBe(0)
    expect(world.fake.live()).toHaveLength(1)
  })
  const QUIET = {afterTake: () => {}, beforeTake: () => {}}
  const sh = (script: string) => world.box(id).container.run('sh', '-ec', script)
  const refused = (
    message: string,
    changes: Parameters<VastWorld['hibernate']>[1] = {},
    code = 'INCOMPLETE',
  ) =>
    expect(world.hibernate(id, changes)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    })

  test('while a file outside of what is saved would be lost', async () => {
    sh('mkdir -p /opt/mine; echo model >/opt/mine/model')
    await refused('census')
    await refused('census', {discard: ['/opt/min']})
    sh('rm -r /opt/mine')
  })
  test('while rules leave a file out', async () => {
    const {snapshot} = await world.hibernate(id, {goal: 'protect'})
    expect(snapshot.sequence).toBeGreaterThan(0)
    const changes = {snapshot: {...hibernateOf(id).snapshot, excludes: ['notes']}}
    await refused('census', changes)
  })
  test('while the workspace keeps changing, file by file', async () => {
    world.beforeTake = (count) => void sh(`echo ${count} >>/workspace/log`)
    await refused('keeps changing', {maxWaitMs: 20_000})
    sh('rm /workspace/log')
  })
  test('while files are torn by somebody who reopens them all the time', async () => {
    const write =
      'cd /workspace; while [ -e go ]; do head -c 3000000 /dev/urandom >torn; cat torn >>torn2; head -c 1 torn >torn2; done; rm torn torn2'
    sh(`touch /workspace/go; setsid sh -c '${write}' </dev/null >/dev/null 2>&1 &`)
    await expect(world.hibernate(id, {maxWaitMs: 0})).rejects.toMatchObject({code: 'INCOMPLETE'})
    sh('rm /workspace/go; while [ -e /workspace/torn2 ]; do sleep 0.1; done')
  })
  test('when a pack went missing right after the commit', async () => {
    let count = 0
    world.afterTake = async () => {
      if ((count += 1) !== 2) return
      const packs = join(world.folder, 'store/packs')
      for (const name of await readdir(packs)) await rm(join(packs, name), {recursive: true})
    }
    // New contents, so that there is a pack of this very snapshot.
    sh('head -c 50000 /dev/urandom >/workspace/new')
    await refused('packs')
    world.afterTake = () => {}
    // The next snapshot leans on nothing that is not there.
    expect(await world.hibernate(id, {goal: 'protect'})).toMatchObject({state: 'protected'})
  })
  test('when the account is another before the proof', async () => {
    const {account} = world.fake
    let count = 0
    world.afterTake = () => {
      if ((count += 1) === 2) account.id = 99
    }
    await expect(world.hibernate(id)).rejects.toMatchObject({
      message: expect.stringContaining('another account'),
    })
    account.id = 4711
  })
  test('when the instance is another of the same id', async () => {
    const instance = world.fake.instances.get(id)
    if (!instance) throw new Error('no instance')
    const {life} = instance
    const confirm = async () => {
      instance.life = {...life, record: {start_date: 1_600_000_000}}
      return true
    }
    const outcome = await world.hibernate(id, {confirm})
    expect(outcome.state).toBe('protected')
    expect(exitCodeOfHibernate(outcome)).toBe(3)
    instance.life = life
  })
  test('when the operator thought about it for longer than the receipt holds', async () => {
    const confirm = async () => {
      world.fake.clock.advance(11 * 60_000)
      return true
    }
    const outcome = await world.hibernate(id, {confirm})
    expect(outcome).toMatchObject({reasons: ['the receipt has expired'], state: 'protected'})
    expect(exitCodeOfHibernate(outcome)).toBe(3)
  })
  test('when what is at the given address is another box', async () => {
    const other = await world.rent()
    await expect(
      world.hibernate(id, {host: `root@127.0.0.1:${world.box(other.id).port}`}),
    ).rejects.toMatchObject({code: 'BOX_UNSUITABLE'})
    await world.fake.destroy(other)
  })
  test('when another key answers at its address in the middle', async () => {
    const {boxes, fake} = world
    let count = 0
    world.afterTake = async () => {
      if ((count += 1) !== 2) return
      const [instance] = fake.live()
      if (!instance) throw new Error('no instance')
      const {box} = instance
      instance.box = await boxes.make({env: {}, id, label: undefined, machine: 1})
      instance.cut()
      await box?.close()
    }
    await expect(world.hibernate(id)).rejects.toMatchObject({code: 'HOST_KEY_CHANGED'})
  })
})

whereContainersAre('no box is ended for a store', () => {
  test('that is a directory nobody named', async () => {
    const world = await VastWorld.open()
    try {
      const {id} = await world.rent()
      world.settings = {...world.settings, storeNamed: false}
      await expect(world.hibernate(id)).rejects.toMatchObject({
        message: expect.stringContaining('endurance'),
      })
      expect(world.deletes).toBe(0)
    } finally {
      await world.close()
    }
  })
})

whereS3IsToo('a bucket', () => {
  let server: Versitygw
  let world: VastWorld
  let id: number
  beforeAll(async () => {
    server = await startVersitygw()
    const {accessKeyId, bucket, endpoint, region, secretAccessKey} = server
    const credentials = {accessKeyId, secretAccessKey}
    const location = {bucket, credentials, endpoint, kind: 's3', prefix: 'p', region} as const
    world = await VastWorld.open({location})
    ;({id} = await world.rent())
    await fill(world, id)
  })
  afterAll(async () => {
    await world?.close()
    await server?.close()
  })
  const known = (kind: 'expires' | 'kept') => {
    Object.assign(world.store, {endurance: async () => ({kind, rules: ['expire after 30 days']})})
  }

  test('whose rules cannot be read, or expire what is in it, backs no end', async () => {
    await expect(world.hibernate(id)).rejects.toMatchObject({
      message: expect.stringContaining('cannot be read'),
    })
    known('expires')
    await expect(world.hibernate(id)).rejects.toMatchObject({
      message: expect.stringContaining('expire after 30 days'),
    })
    expect(world.deletes).toBe(0)
  })
  test('holds a box until it is woken', async () => {
    known('kept')
    expect(await world.hibernate(id)).toMatchObject({state: 'hibernated'})
    const {machines} = await world.wake(id)
    const next = world.box(machines[0]?.instance.id ?? '').container
    expect(next.run('cat', '/workspace/notes')).toBe('first')
    expect(await world.everythingTold()).not.toContain(server.secretAccessKey)
  })
})
