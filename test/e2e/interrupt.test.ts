import {afterAll, beforeAll, beforeEach, describe, expect, test} from '@jest/globals'
import {randomBytes} from 'node:crypto'
import {readFileSync} from 'node:fs'
import {mkdir, readdir, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {type FaultyProxy, startFaultyProxy} from '../support/faulty-proxy.js'
import {findVersitygw, startVersitygw, type Versitygw} from '../support/versitygw.js'
import {answered, dumont, type Running, startDumont} from './dumont.js'
import {credentials} from './operator.js'
import {differences, scratch} from './trees.js'

const whereS3Is = findVersitygw() ? describe : describe.skip

/** Two seconds are promised; the rest is for a machine that runs other tests. */
const PROMPT_MS = 4000

whereS3Is('Ctrl-C', () => {
  let server: Versitygw
  let proxy: FaultyProxy
  let folder: string
  let workspace: string
  let remove: () => Promise<void>
  beforeAll(async () => {
    ;({path: folder, remove} = await scratch())
    server = await startVersitygw()
    proxy = await startFaultyProxy(server.endpoint)
    workspace = join(folder, 'workspace')
    await mkdir(workspace)
    for (let n = 0; n < 8; n++) await writeFile(join(workspace, `file-${n}`), randomBytes(8 << 20))
  })
  beforeEach(() => proxy.clear())
  afterAll(async () => {
    await proxy?.close()
    await server?.close()
    await remove()
  })

  const surroundings = () => ({env: credentials(server)})
  const place = (prefix: string) => [
    ...['--host', 'local', '--store', `s3://${server.bucket}/${prefix}`],
    ...['--endpoint', proxy.endpoint],
  ]

  test('in the middle of a create leaves no snapshot and no process, and the same command goes on', async () => {
    proxy.inject({fault: {kind: 'stall'}, method: 'PUT', path: /\/packs\//u, skip: 2, times: 999})
    const command = ['snapshot', 'create', ...place('create'), workspace]
    const running = startDumont(command, surroundings())
    await untilStalled()
    const {code, left, milliseconds} = await interrupt(running, 'SIGINT')
    expect(code).toBe(130)
    expect(milliseconds).toBeLessThan(PROMPT_MS)
    expect(left).toEqual([])
    expect(await readdir(join(server.root, 'create/snapshots')).catch(() => [])).toEqual([])
    proxy.clear()
    expect(await answered(command, surroundings())).toMatchObject({code: 0})
  })

  test('in the middle of a restore leaves no temporary file, and the same command goes on', async () => {
    await answered(['snapshot', 'create', ...place('restore'), workspace], surroundings())
    const target = join(folder, 'restored')
    proxy.clear()
    proxy.inject({fault: {kind: 'stall'}, method: 'GET', path: /\/packs\//u, skip: 2, times: 999})
    const command = ['snapshot', 'restore', 'latest', ...place('restore'), '--target', target]
    const running = startDumont(command, surroundings())
    await untilStalled()
    const {code, left, milliseconds} = await interrupt(running, 'SIGINT')
    expect(code).toBe(130)
    expect(milliseconds).toBeLessThan(PROMPT_MS)
    expect(left).toEqual([])
    const names = await readdir(target).catch(() => [])
    expect(names.filter((name) => !/^file-\d$/u.test(name))).toEqual([])
    proxy.clear()
    expect(await answered(command, surroundings())).toMatchObject({code: 0})
    expect(await differences(workspace, target)).toEqual([])
  })

  test('before a command has begun ends with the same code', async () => {
    // bin/run.js sets this before it loads anything.
    const begun = 'process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'
    const kill = `const t = setInterval(() => ${begun} && process.kill(process.pid, 'SIGINT'), 0); t.unref()`
    const env = {NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(kill)}`}
    expect(await startDumont(['snapshot', 'list'], {env}).ended).toMatchObject({code: 130})
  })

  test('kill -9 of the command ends the worker too, and the same command goes on', async () => {
    proxy.inject({fault: {kind: 'stall'}, method: 'PUT', path: /\/packs\//u, skip: 2, times: 999})
    const command = ['snapshot', 'create', ...place('killed'), workspace]
    const running = startDumont(command, surroundings())
    await untilStalled()
    const {left} = await interrupt(running, 'SIGKILL')
    expect(left).toEqual([])
    proxy.clear()
    expect(await answered(command, surroundings())).toMatchObject({code: 0})
  })

  test('before anything has begun ends with 130 as well', async () => {
    const running = startDumont(
      ['snapshot', 'create', ...place('early'), workspace],
      surroundings(),
    )
    // Long enough for the handlers to stand, too short for a worker.
    await new Promise((resolve) => setTimeout(resolve, 400))
    expect((await interrupt(running, 'SIGINT')).left).toEqual([])
  })

  test('a list shows nothing of what was interrupted', async () => {
    const store = ['--store', `s3://${server.bucket}/early`, '--endpoint', proxy.endpoint]
    const listed = await dumont(['snapshot', 'list', ...store, '--json'], surroundings())
    expect(listed.stdout).not.toMatch(/\d{8}T\d{6}Z-/u)
  })

  async function untilStalled(): Promise<void> {
    for (let look = 0; look < 3000; look++) {
      if (proxy.requests.some((each) => each.fault === 'stall')) return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    throw new Error('no transfer began within a minute')
  }
})

/** Signals the command, waits for its end, and names what of all it had started is still there two seconds later. */
async function interrupt(
  running: Running,
  signal: NodeJS.Signals,
): Promise<{code: number | null; left: string[]; milliseconds: number}> {
  const family = descendants(running.child.pid ?? 0)
  const began = performance.now()
  running.child.kill(signal)
  const {code} = await running.ended
  const milliseconds = performance.now() - began
  for (let look = 0; look < 100 && family.some(isAlive); look++)
    await new Promise((resolve) => setTimeout(resolve, 30))
  return {code, left: family.filter(isAlive).map(commandLine), milliseconds}
}

function descendants(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`
  const children = read(path).trim().split(' ').filter(Boolean).map(Number)
  return children.flatMap((child) => [child, ...descendants(child)])
}

function isAlive(pid: number): boolean {
  return !/^State:\s+Z|^$/mu.test(read(`/proc/${pid}/status`).split('\n')[2] ?? '')
}

function commandLine(pid: number): string {
  return read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
