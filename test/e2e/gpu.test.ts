import {afterAll, afterEach, beforeAll, describe, expect, test} from '@jest/globals'
import {randomBytes} from 'node:crypto'
import {existsSync, readdirSync} from 'node:fs'
import {mkdir, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {type FaultyProxy, startFaultyProxy} from '../support/faulty-proxy.js'
import {type GpuHome, makeGpuHome} from '../support/gpu-home.js'
import {type Sshd, sshdAvailable, startSshd} from '../support/sshd.js'
import {findVersitygw, startVersitygw, type Versitygw} from '../support/versitygw.js'
import {answered, dumont, sharedHome} from './dumont.js'
import {credentials, type Operator, startOperator} from './operator.js'
import {differences, scratch} from './trees.js'

const possible = sshdAvailable() && findVersitygw() !== undefined
const whereBothAre = possible ? describe : describe.skip
if (!possible) console.warn('SKIPPED: tests of GPU codecs over SSH need sshd and versitygw')

whereBothAre('a box with a GPU, one without, and a store that speaks S3', () => {
  let home: GpuHome
  let gpuBox: Sshd
  let plainBox: Sshd
  let server: Versitygw
  let proxy: FaultyProxy
  let operator: Operator
  let folder: string
  let remove: () => Promise<void>
  beforeAll(async () => {
    ;({path: folder, remove} = await scratch())
    home = await makeGpuHome(sharedHome())
    gpuBox = await startSshd({env: home.env})
    plainBox = await startSshd({env: {HOME: sharedHome()}})
    server = await startVersitygw()
    proxy = await startFaultyProxy(server.endpoint)
    operator = await startOperator(gpuBox, plainBox)
  })
  afterEach(() => home.mend())
  afterAll(async () => {
    await proxy?.close()
    await server?.close()
    await gpuBox?.close()
    await plainBox?.close()
    await operator?.remove()
    await home?.remove()
    await remove()
  })

  const surroundings = () => ({env: credentials(server), home: operator.home})
  const store = (prefix: string) => [
    ...['--store', `s3://${server.bucket}/${prefix}`, '--endpoint', proxy.endpoint],
  ]
  const on = (box: Sshd, prefix: string) => ['--host', operator.host(box), ...store(prefix)]
  const run = (...argv: string[]) => answered(['snapshot', ...argv], surroundings())
  const packs = (prefix: string) => {
    const root = join(server.root, prefix, 'packs')
    const names = existsSync(root) ? readdirSync(root, {encoding: 'utf8', recursive: true}) : []
    return names.filter((name) => /\d+-\d+-\d+$/u.test(name)).length
  }
  const workspace = async (name: string) => {
    const path = join(folder, name)
    await mkdir(path)
    await writeFile(join(path, 'weights.bin'), weights(5 << 20))
    await writeFile(join(path, 'notes.txt'), 'all work and no play\n'.repeat(90_000))
    return path
  }

  test('what the GPU coded comes back there, and is said to need one', async () => {
    const path = await workspace('whole')
    expect(await run('create', ...on(gpuBox, 'whole'), '--codec', 'ans', path)).toMatchObject({
      code: 0,
    })
    const shown = await dumont(['snapshot', 'list', ...store('whole')], surroundings())
    expect(shown.stdout).toMatch(/needs a GPU/u)
    const {code} = await dumont(['snapshot', 'verify', 'latest', ...store('whole')], surroundings())
    expect(code).toBe(0)
    const target = join(folder, 'whole-restored')
    const where = [...on(gpuBox, 'whole'), '--target', target]
    expect(await run('restore', 'latest', ...where)).toMatchObject({code: 0})
    expect(await differences(path, target)).toEqual([])
  })

  test('a box without a GPU refuses before it downloads, and says the way out', async () => {
    const path = await workspace('refused')
    await run('create', ...on(gpuBox, 'refused'), '--codec', 'ans', path)
    const before = proxy.requests.length
    const where = [...on(plainBox, 'refused'), '--target', join(folder, 'refused-restored')]
    const answer = await run('restore', 'latest', ...where)
    expect(answer.error).toMatchObject({
      code: 'BOX_UNSUITABLE',
      hint: expect.stringContaining('dumont snapshot transcode'),
    })
    const asked = proxy.requests.slice(before).map(({path: key}) => key)
    expect(asked.filter((key) => key.includes('/packs/'))).toEqual([])
    expect(existsSync(join(folder, 'refused-restored'))).toBe(false)
  })

  test('transcoded it restores anywhere, and the next create leans on that', async () => {
    const path = await workspace('moved')
    const old = await run('create', ...on(gpuBox, 'moved'), '--codec', 'ans', '--name', 'm', path)
    const made = await run('transcode', 'latest', ...on(gpuBox, 'moved'))
    expect(made).toMatchObject({code: 0, of: old.id})
    expect(await run('delete', old.id, ...store('moved'), '--yes')).toMatchObject({code: 0})
    const target = join(folder, 'moved-restored')
    const where = [...on(plainBox, 'moved'), '--target', target]
    expect(await run('restore', made.id, ...where)).toMatchObject({code: 0})
    expect(await differences(path, target)).toEqual([])
    const next = await run('create', ...on(gpuBox, 'moved'), '--name', 'm', '--codec', 'zstd', path)
    expect(next).toMatchObject({code: 0, newBytes: 0, parent: made.id})
    expect(await run('transcode', next.id, ...on(gpuBox, 'moved'))).toMatchObject({code: 2})
  })

  const faults = ['kill@encode', 'segv@decode', 'corrupt@cpu:3']
  test.each(faults)('with %s on the box the snapshot is whole all the same', async (fault) => {
    const name = `fault-${fault.replaceAll(/\W/gu, '-')}`
    const path = await workspace(name)
    await home.breakNext(fault)
    const answer = await run('create', ...on(gpuBox, name), '--codec', 'ans', path)
    expect(answer).toMatchObject({code: 0, warnings: {byCode: {gpu: 1}}})
    await home.mend()
    const target = join(folder, `${name}-restored`)
    await run('restore', 'latest', ...on(gpuBox, name), '--target', target)
    expect(await differences(path, target)).toEqual([])
  })

  test('a GPU codec is refused by name where there is none, before anything is stored', async () => {
    const path = await workspace('nowhere')
    const answer = await run('create', ...on(plainBox, 'nowhere'), '--codec', 'ans', path)
    expect(answer.error).toMatchObject({
      code: 'BOX_UNSUITABLE',
      hint: expect.stringContaining('--codec zstd'),
    })
    expect(packs('nowhere')).toBe(0)
  })

  test('auto says in one line what it took and why, in every form of the answer', async () => {
    const path = await workspace('auto')
    const why = 'zstd: it was done before there was a reason to ask the GPU'
    const answer = await run('create', ...on(gpuBox, 'auto'), path)
    expect(answer).toMatchObject({code: 0, codec: {codec: 'zstd', why}, needsGpu: false})
    const text = await dumont(['snapshot', 'create', ...on(gpuBox, 'auto'), path], surroundings())
    expect(text.stdout).toContain(`\ncodec ${why}\n`)
    const stream = ['snapshot', 'create', ...on(gpuBox, 'auto'), '--json-stream', path]
    expect((await dumont(stream, surroundings())).stdout).toContain(JSON.stringify(why))
    const plain = await run('create', ...on(plainBox, 'auto'), '--name', 'plain', path)
    expect(plain).toMatchObject({
      codec: {why: expect.stringMatching(/^zstd: the box shows no NVIDIA GPU/u)},
    })
  })

  test('a dry run shows codecs, ratios, rates, uplink and expected time, and stores nothing', async () => {
    const path = await workspace('table')
    const argv = ['snapshot', 'create', ...on(gpuBox, 'table'), '--dry-run', path]
    const {code, stdout} = await dumont(argv, surroundings())
    expect(code).toBe(0)
    expect(stdout).toMatch(/CODEC +RATIO +MB\/S +UPLINK MB\/S +EXPECTED/u)
    for (const codec of ['zstd', 'none', 'gzstd', 'ans'])
      expect(stdout).toMatch(new RegExp(`^${codec} +[01]\\.\\d{3} +\\d+ +\\? +≥ \\d`, 'mu'))
    expect(stdout).toContain('codec zstd: the uplink has not been measured yet')
    expect(packs('table')).toBe(0)
  })

  test('--no-gpu forbids it', async () => {
    const path = await workspace('forbidden')
    const where = [...on(gpuBox, 'forbidden'), '--codec', 'ans', '--no-gpu']
    expect(await run('create', ...where, path)).toMatchObject({code: 2, error: {code: 'USAGE'}})
    expect(packs('forbidden')).toBe(0)
  })
})

/** Looks like bf16: noise below, few exponents above. */
function weights(length: number): Buffer {
  const raw = randomBytes(length)
  for (let at = 1; at < length; at += 2) raw[at] = 0x38 + ((raw[at] ?? 0) & 3)
  return raw
}
