import {mkdir, mkdtemp, rm, symlink} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {checkTarget} from '../../../src/lib/snapshots/local-target.js'
import {readManifest} from '../../../src/lib/snapshots/manifests.js'
import type {RestoreOptions} from '../../../src/lib/snapshots/restore-host.js'
import {exitCodeOfRestore, restoreSnapshot} from '../../../src/lib/snapshots/restore-snapshot.js'
import type {BoxService} from '../../../src/lib/snapshots/service.js'
import type {OperatorMessage} from '../../../src/lib/worker/requests.js'
import type {RestoreResult} from '../../../src/lib/worker/results.js'
import {ScriptedWorker} from '../../support/scripted-worker.js'
import {benchTop, type BenchTop} from './bench-top.js'

type RestoreMessage = Extract<OperatorMessage, {type: 'restore'}>
type Box = (worker: ScriptedWorker, request: RestoreMessage) => Promise<void> | void

const RESULT: RestoreResult = {
  counts: {entries: 3, files: 2},
  bytes: {raw: 11, fetched: 123, written: 11},
  same: 0,
  written: 2,
  deleted: 0,
  failed: 0,
  damaged: 0,
  failures: [],
  seconds: 0.1,
  warnings: {},
  notes: {},
}
const OPTIONS: RestoreOptions = {
  include: [],
  overwrite: 'if-changed',
  delete: false,
  devices: false,
  includeAccessFiles: false,
  parts: 4,
  dryRun: false,
  confirmDelete: async () => false,
}

const good: Box = (worker, {id}) => void worker.say({type: 'result', to: id, ...RESULT})
const failing: Box = (worker, {id}) =>
  void worker.say({type: 'error', to: id, code: 'BOX_DISK_FULL', message: 'full'})

let bench: BenchTop
let id: string
let requests: RestoreMessage[]
beforeEach(async () => {
  bench = await benchTop()
  id = (await bench.create()).id ?? ''
  requests = []
})
afterEach(() => bench.remove())

function restore(
  boxes: Readonly<Record<string, Box>>,
  {
    isLocal = false,
    onClose = () => {},
    onConnect = () => {},
    options = {},
    snapshot = id,
  }: {
    isLocal?: boolean
    onClose?: () => void
    onConnect?: () => void
    options?: Partial<RestoreOptions>
    snapshot?: string
  } = {},
) {
  const service: BoxService = {
    ...bench.service,
    openSession: async (host) => {
      const box = boxes[host]
      if (!box)
        throw Object.assign(new Error(`no ${host}`), {name: 'DumontError', code: 'UNREACHABLE'})
      const worker = new ScriptedWorker().greet()
      void worker.hears('restore').then((request) => {
        requests.push(request)
        return box(worker, request)
      })
      onConnect()
      const session = worker.session({isLocal})
      const close = async () => {
        onClose()
        await session.close()
      }
      return {...session, close}
    },
  }
  const hosts = Object.keys(boxes)
  return restoreSnapshot({snapshot, hosts, options: {...OPTIONS, ...options}}, service)
}

describe('a restore', () => {
  test('asks the worker for what the manifest says', async () => {
    await restore({one: good}, {options: {target: '/data', include: ['*.py']}})
    const {manifest} = await readManifest(bench.store, id)
    expect(requests[0]).toMatchObject({
      snapshot: id,
      target: '/data',
      include: ['*.py'],
      roots: manifest.roots,
      segments: manifest.index.segments,
      privileges: true,
    })
  })

  test('goes on with the other boxes when one fails, and keeps the worst exit code', async () => {
    const summary = await restore({one: good, two: failing})
    expect(summary.hosts).toMatchObject([
      {host: 'one', ok: true, written: 2},
      {host: 'two', ok: false, error: {code: 'BOX_DISK_FULL'}},
    ])
    expect(exitCodeOfRestore(summary)).toBe(73)
  })

  test('connects while it looks for the snapshot', async () => {
    let connect = () => {}
    const connected = new Promise<void>((resolve) => (connect = resolve))
    // Finds nothing before the box was asked for: one after the other would wait for ever.
    bench.store.before = (operation) => (operation === 'list' ? connected : undefined)
    expect(await restore({one: good}, {onConnect: connect})).toMatchObject({hosts: [{ok: true}]})
  })

  test('of a snapshot that is not there leaves no box connected', async () => {
    const sessions = {closed: 0, opened: 0}
    const asked = restore(
      {one: good, two: good},
      {
        snapshot: '20200101T000000Z-aaaaaa',
        onClose: () => void sessions.closed++,
        onConnect: () => void sessions.opened++,
      },
    )
    await expect(asked).rejects.toMatchObject({code: 'SNAPSHOT_UNKNOWN'})
    expect(sessions.closed).toBe(sessions.opened)
    expect(requests).toEqual([])
  })

  test('of a single box fails with that box’s error', async () => {
    await expect(restore({one: failing})).rejects.toMatchObject({code: 'BOX_DISK_FULL'})
  })

  test.each([
    ['damaged', 65],
    ['unwritable', 3],
  ])('with entries that failed by %s ends in %i', async (code, exit) => {
    const failures = [{path: 'a\u001b', code, message: 'bad\u001b'}]
    const counts = {damaged: code === 'damaged' ? 1 : 0, failed: 1}
    const summary = await restore({
      one: (worker, {id: to}) =>
        void worker.say({type: 'result', to, ...RESULT, ...counts, failures}),
    })
    expect(exitCodeOfRestore(summary)).toBe(exit)
    expect(bench.events).toContainEqual(
      expect.objectContaining({kind: 'warning', code, host: 'one'}),
    )
    expect(summary).toMatchObject({
      failed: 1,
      hosts: [{failures: [{path: 'a\\u{1b}', message: 'bad\\u{1b}'}]}],
    })
  })

  test('hands on every entry that a salvage does not bring back', async () => {
    const told: object[] = []
    const options = {onLost: (entry: object) => void told.push(entry), salvage: true}
    const losing: Box = (worker, {id: to}) => {
      void worker.say({type: 'lost', path: '/a\u001b', code: 'damaged', message: 'gone'})
      void worker.say({type: 'result', to, ...RESULT, damaged: 1, failed: 1})
    }
    expect(exitCodeOfRestore(await restore({one: losing}, {options}))).toBe(65)
    expect(requests[0]).toMatchObject({salvage: true})
    expect(told).toEqual([{code: 'damaged', host: 'one', message: 'gone', path: '/a\\u{1b}'}])
  })

  test('takes no more losses than there are entries', async () => {
    const raving: Box = (worker) => {
      for (let n = 0; n < 100; n += 1)
        void worker.say({type: 'lost', path: `/${n}`, code: 'damaged', message: 'gone'})
    }
    await expect(restore({one: raving}, {options: {salvage: true}})).rejects.toMatchObject({
      code: 'WORKER',
    })
  })

  test('lets a box read this snapshot’s objects', async () => {
    const {manifest} = await readManifest(bench.store, id)
    const keys = [manifest.index.packs.key, ...(await bench.store.keysBelow('packs/'))]
    const summary = await restore({
      one: async (worker, request) => {
        worker.say({type: 'fetch', id: 1, keys})
        const reply = await worker.hears('reply')
        expect(reply.urls?.map(({key}) => key)).toEqual(keys)
        await good(worker, request)
      },
    })
    expect(summary.failed).toBe(0)
  })

  test('lets a box read nothing else', async () => {
    bench.bends.files = {secret: 'of another snapshot'}
    await bench.create({name: 'other'})
    const {manifest} = await readManifest(bench.store, id)
    const foreign = (await bench.store.keysBelow('packs/')).filter(
      (key) => !key.includes(manifest.id),
    )
    const asking: Box = (worker) => void worker.say({type: 'fetch', id: 1, keys: foreign})
    expect(foreign).toHaveLength(1)
    await expect(restore({one: asking})).rejects.toMatchObject({code: 'WORKER'})
  })

  test('signs no upload', async () => {
    const pin = {kind: 'crc32', value: 'AAAAAA=='} as const
    const asking: Box = (worker) =>
      void worker.say({type: 'sign', id: 1, objects: [{kind: 'pack', part: 0, length: 1, pin}]})
    await expect(restore({one: asking})).rejects.toMatchObject({code: 'WORKER'})
  })

  test.each([true, false])('passes the answer %p on what may be deleted', async (yes) => {
    const questions: unknown[] = []
    const confirmDelete: RestoreOptions['confirmDelete'] = async (question) => {
      questions.push(question)
      return yes
    }
    await restore(
      {
        one: async (worker, request) => {
          worker.say({type: 'confirm', id: 1, what: 'delete', count: 2, examples: ['old\u001b']})
          expect(await worker.hears('reply')).toMatchObject({yes})
          await good(worker, request)
        },
      },
      {options: {delete: true, confirmDelete}},
    )
    expect(questions).toEqual([{host: 'one', count: 2, examples: ['old\\u{1b}']}])
  })

  test('is refused before anything is asked when a decoder is missing', async () => {
    const {manifest} = await readManifest(bench.store, id)
    const body = Buffer.from(JSON.stringify({...manifest, decoders: ['ans']}))
    await bench.store.inner.put(`snapshots/${id}.json`, body, {onlyIfAbsent: false})
    await expect(restore({one: good})).rejects.toMatchObject({
      code: 'BOX_UNSUITABLE',
      message: expect.stringContaining('ans'),
    })
    expect(requests).toEqual([])
  })

  test('is refused when the list of packs is damaged', async () => {
    await bench.store.inner.put(`index/${id}/packs`, Buffer.from('x'), {onlyIfAbsent: false})
    await expect(restore({one: good})).rejects.toMatchObject({code: 'INTEGRITY'})
  })

  test('of latest is refused when the store was set back', async () => {
    const second = await bench.create()
    await bench.store.inner.remove([`snapshots/${second.id}.json`])
    await expect(restore({one: good}, {snapshot: 'latest'})).rejects.toMatchObject({
      code: 'INTEGRITY',
    })
    await expect(restore({one: good}, {snapshot: id})).resolves.toMatchObject({id})
  })

  test('takes each box once', async () => {
    const request = {snapshot: id, hosts: ['one', 'one'], options: OPTIONS}
    await expect(restoreSnapshot(request, bench.service)).rejects.toMatchObject({code: 'USAGE'})
  })
})

describe('a restore to this machine', () => {
  test('drops privileges unless they are asked for', async () => {
    const target = '/nowhere/in/particular'
    await restore({local: good}, {isLocal: true, options: {target}})
    await restore({local: good}, {isLocal: true, options: {target, privileges: true}})
    expect(requests.map(({privileges}) => privileges)).toEqual([false, true])
  })

  let home: string
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'dumont-home-'))
  })
  afterEach(() => rm(home, {recursive: true, force: true}))
  const check = (target: string | undefined) =>
    checkTarget(target, {home, session: new ScriptedWorker().session({isLocal: true})})

  test('needs a target', async () => {
    await expect(check(undefined)).rejects.toMatchObject({code: 'USAGE'})
  })

  test('never writes into the root, the home directory, or what holds it', async () => {
    await symlink(home, join(home, 'link'))
    await symlink('/', join(home, 'root'))
    for (const target of [
      '/',
      '//',
      '/tmp/..',
      home,
      `${home}/`,
      `${home}/.`,
      join(home, 'link'),
      join(home, 'root'),
      tmpdir(),
    ])
      await expect(check(target)).rejects.toMatchObject({code: 'USAGE'})
  })

  test('may write below the home directory, also where nothing is yet', async () => {
    await mkdir(join(home, 'there'))
    for (const target of [join(home, 'there'), join(home, 'new/and/deep'), `${home}-beside`])
      await check(target)
  })

  test('says when the target cannot be reached', async () => {
    await expect(check('/dev/null/x')).rejects.toMatchObject({code: 'TARGET_UNWRITABLE'})
  })
})

test('a target on a box has to be absolute', async () => {
  await expect(restore({one: good}, {options: {target: 'data'}})).rejects.toMatchObject({
    code: 'USAGE',
  })
})
