import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {execFileSync} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {existsSync, readdirSync} from 'node:fs'
import {mkdir, readdir, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {type FaultyProxy, startFaultyProxy} from '../support/faulty-proxy.js'
import {type Sshd, sshdAvailable, startSshd} from '../support/sshd.js'
import {findVersitygw, startVersitygw, type Versitygw} from '../support/versitygw.js'
import {answered, sharedHome, startDumont} from './dumont.js'
import {credentials, type Operator, startOperator} from './operator.js'
import {startRelay} from './relay.js'
import {differences, makeMatrix, scratch} from './trees.js'

const possible = sshdAvailable() && findVersitygw() !== undefined
const whereBothAre = possible ? describe : describe.skip
if (!possible) console.warn('SKIPPED: tests over SSH with an S3 store need sshd and versitygw')

whereBothAre('a box over SSH and a store that speaks S3', () => {
  let box: Sshd
  let server: Versitygw
  let proxy: FaultyProxy
  let operator: Operator
  let folder: string
  let remove: () => Promise<void>
  beforeAll(async () => {
    ;({path: folder, remove} = await scratch())
    // One home for all boxes of the tests, so that the native helpers are installed once.
    box = await startSshd({env: {HOME: sharedHome()}})
    server = await startVersitygw()
    proxy = await startFaultyProxy(server.endpoint)
    operator = await startOperator(box)
  })
  afterAll(async () => {
    await proxy?.close()
    await server?.close()
    await box?.close()
    await operator?.remove()
    await remove()
  })

  const surroundings = () => ({env: credentials(server), home: operator.home})
  const place = (prefix: string, port?: number) => [
    ...['--host', operator.host(box, port)],
    ...['--store', `s3://${server.bucket}/${prefix}`, '--endpoint', proxy.endpoint],
  ]
  const create = (...argv: string[]) => answered(['snapshot', 'create', ...argv], surroundings())
  const restore = (...argv: string[]) => answered(['snapshot', 'restore', ...argv], surroundings())
  const noise = async (name: string, mebibytes: number) => {
    const path = join(folder, name)
    await mkdir(path)
    for (let n = 0; n < mebibytes / 8; n++)
      await writeFile(join(path, `part-${n}`), randomBytes(8 << 20))
    return path
  }

  test('bring every kind of entry back equal', async () => {
    const matrix = await makeMatrix(join(folder, 'matrix'))
    expect(await create(...place('matrix'), matrix)).toMatchObject({code: 0})
    const target = join(folder, 'matrix-restored')
    const where = [...place('matrix'), '--target', target, '--devices']
    expect(await restore('latest', ...where)).toMatchObject({code: 0})
    expect(await differences(matrix, target, 'sockets')).toEqual([])
    expect(await create(...place('matrix'), matrix)).toMatchObject({code: 0, newBytes: 0})
  })

  test('leave no credential of the store on the box', async () => {
    const path = join(folder, 'secretive')
    await mkdir(path)
    await create(...place('secretive'), path)
    const secrets = ['-e', server.secretAccessKey, '-e', 'X-Amz-Signature']
    const find = ['-rlF', '--exclude-dir=native-*', ...secrets, sharedHome()]
    expect(() => execFileSync('grep', find, {stdio: 'pipe'})).toThrow('Command failed')
  })

  test('restore to the boxes that can be reached when one cannot', async () => {
    const path = await noise('two-boxes', 8)
    await create(...place('two-boxes'), path)
    const target = join(folder, 'two-boxes-restored')
    const dead = await startRelay(box.port)
    await operator.trust(box, dead.port)
    dead.cut()
    const where = [...place('two-boxes'), '--host', operator.host(box, dead.port)]
    const answer = await restore('latest', ...where, '--target', target)
    await dead.close()
    expect(answer.code).toBe(69)
    expect(await differences(path, target)).toEqual([])
  })

  test('go on where they were when the connection is cut in the middle of a create', async () => {
    const path = await noise('cut-create', 96)
    const relay = await startRelay(box.port)
    await operator.trust(box, relay.port)
    proxy.clear()
    proxy.inject({fault: {kind: 'stall'}, method: 'PUT', path: /\/packs\//u, skip: 3, times: 999})
    const command = ['snapshot', 'create', ...place('cut-create', relay.port), path]
    const running = startDumont([...command, '--json-stream'], surroundings())
    await until(() => stored('cut-create') >= 3)
    // The store has them; their answers still have to reach the worker, and its journal.
    await new Promise((resolve) => setTimeout(resolve, 500))
    relay.cut()
    // It tries to connect again by itself, until it is told to stop.
    await running.printed(/trying again in 2 s/u)
    running.child.kill('SIGINT')
    expect((await running.ended).code).toBe(130)
    expect(await snapshots('cut-create')).toEqual([])

    proxy.clear()
    relay.mend()
    const again = await answered([...command, '--json'], surroundings())
    const sent = proxy.requests.filter(isPackPut).length
    await relay.close()
    expect(again.code).toBe(0)
    // What the first run finished was not sent a second time.
    expect(sent).toBeLessThanOrEqual(stored('cut-create') - 3)
    const target = join(folder, 'cut-create-restored')
    await restore('latest', ...place('cut-create'), '--target', target)
    expect(await differences(path, target)).toEqual([])
  })

  test('go on by themselves when the connection is cut in the middle of a restore and comes back', async () => {
    const path = await noise('cut-restore', 96)
    await create(...place('cut-restore'), path)
    const relay = await startRelay(box.port)
    await operator.trust(box, relay.port)
    const target = join(folder, 'cut-restore-restored')
    const where = [...place('cut-restore', relay.port), '--target', target]
    proxy.clear()
    proxy.inject({fault: {kind: 'stall'}, method: 'GET', path: /\/packs\//u, skip: 3, times: 999})
    const command = ['snapshot', 'restore', 'latest', ...where, '--json-stream']
    const running = startDumont(command, surroundings())
    await until(() => proxy.requests.some((each) => each.fault === 'stall'))
    relay.cut()
    await running.printed(/trying again in 1 s/u)
    proxy.clear()
    relay.mend()
    expect(await running.ended).toMatchObject({code: 0})
    await relay.close()
    expect(await differences(path, target)).toEqual([])
  })

  const isPackPut = ({method, path}: {method: string; path: string}) =>
    method === 'PUT' && path.includes('/packs/')
  const stored = (prefix: string) => {
    const packs = join(server.root, prefix, 'packs')
    const names = existsSync(packs) ? readdirSync(packs, {encoding: 'utf8', recursive: true}) : []
    return names.filter((name) => /\d+-\d+-\d+$/u.test(name)).length
  }
  const snapshots = (prefix: string) =>
    readdir(join(server.root, prefix, 'snapshots')).catch(() => [])
})

/** Looks every 20 ms, for a minute at most. */
async function until(happened: () => boolean): Promise<void> {
  for (let look = 0; look < 3000; look++) {
    if (happened()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('waited a minute in vain')
}
