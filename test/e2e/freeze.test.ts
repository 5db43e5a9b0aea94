import {mkdir} from 'node:fs/promises'
import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {openBoxTools} from '../../src/lib/instances/box-tools.js'
import {freeze} from '../../src/lib/instances/freeze.js'
import {endLeftFreezes, renewFreeze} from '../../src/lib/instances/freeze-guard.js'
import {exitCodeOfHibernate} from '../../src/lib/instances/hibernate.js'
import {canContain} from '../support/container.js'
import {sshdAvailable} from '../support/sshd.js'
import {VastWorld} from './vast-world.js'

const possible = sshdAvailable() && canContain()
const whereContainersAre = possible ? describe : describe.skip
if (!possible) console.warn('SKIPPED: freezing needs sshd and the right to make containers')

whereContainersAre('a frozen box', () => {
  let world: VastWorld
  let id: number
  let pid: string
  const box = () => world.box(id).container
  const state = () => /^State:\s(\w)/mu.exec(box().run('cat', `/proc/${pid}/status`))?.[1]
  const tools = async () => {
    const host = `root@127.0.0.1:${box().port}`
    return openBoxTools(await (await world.service()).openSession(host))
  }
  beforeAll(async () => {
    world = await VastWorld.open()
    ;({id} = await world.rent())
    await mkdir(box().at('/workspace/run'))
    const begin = 'while :; do sleep 0.05; done'
    pid = box()
      .run('sh', '-c', `setsid sh -c '${begin}' </dev/null >/dev/null 2>&1 & echo $!`)
      .trim()
  })
  afterAll(() => world?.close())

  test('thaws by itself when nobody renews it, and says so to whoever asks', async () => {
    const on = await tools()
    const frozen = await freeze(on, {misses: 1, name: 'one'})
    expect(frozen.pids).toContain(Number(pid))
    expect(state()).toBe('T')
    expect(await renewFreeze(on, frozen)).toBe(true)
    await on.session.close()
    for (let tries = 0; tries < 60 && state() === 'T'; tries += 1) box().run('sleep', '0.5')
    expect(state()).not.toBe('T')
    const again = await tools()
    expect(await renewFreeze(again, frozen)).toBe(false)
    expect(box().run('ls', '/run/dumont-frozen')).toBe('')
    await again.session.close()
  })
  test('is thawed by the next run, and that before it looks who writes', async () => {
    const on = await tools()
    await freeze(on, {name: 'two'})
    expect(state()).toBe('T')
    expect(await endLeftFreezes(on)).toBe(1)
    expect(state()).not.toBe('T')
    await freeze(on, {name: 'three'})
    await on.session.close()
    expect((await world.hibernate(id, {goal: 'protect'})).state).toBe('protected')
    expect(state()).not.toBe('T')
  })
  test('that was thawed meanwhile is not ended', async () => {
    const confirm = async () => {
      const on = await tools()
      await endLeftFreezes(on)
      await on.session.close()
      return true
    }
    const outcome = await world.hibernate(id, {busy: 'freeze', confirm})
    expect(outcome).toMatchObject({
      reasons: [expect.stringContaining('thawed by itself')],
      state: 'protected',
    })
    expect(exitCodeOfHibernate(outcome)).toBe(3)
    expect(world.deletes).toBe(0)
    expect(state()).not.toBe('T')
  })
  test('goes on when it is not to be ended, and is ended frozen', async () => {
    await world.hibernate(id, {busy: 'freeze', confirm: async () => false})
    expect(state()).not.toBe('T')
    expect(await world.hibernate(id, {busy: 'freeze'})).toMatchObject({state: 'hibernated'})
  })
})
