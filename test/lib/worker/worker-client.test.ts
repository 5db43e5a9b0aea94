import {expect, test} from '@jest/globals'
import {startWorker, type Worker} from '../../../src/lib/worker/worker-client.js'
import type {CreateRequest} from '../../../src/lib/worker/requests.js'
import type {CreateResult} from '../../../src/lib/worker/results.js'
import type {RequestHandlers} from '../../../src/lib/worker/request-handlers.js'
import {ManualClock, settled} from '../../support/manual-clock.js'
import {ScriptedWorker} from '../../support/scripted-worker.js'

const REQUEST: CreateRequest = {
  type: 'create',
  snapshot: '20261123T140200Z-k3fyqz',
  repository: 'a'.repeat(32),
  lineage: 'c'.repeat(32),
  roots: ['/workspace'],
  excludes: [],
  excludeCaches: false,
  crossMounts: false,
  protect: [],
  parts: 4,
  memory: 2 ** 30,
  codec: 'auto',
  level: 3,
  delta: false,
  reread: false,
  pin: 'crc32',
  dryRun: false,
  parent: null,
}

const RESULT: CreateResult = {
  roots: [{path: '/workspace', type: 'dir'}],
  counts: {entries: 1, files: 0, dirs: 1, symlinks: 0, others: 0, torn: 0, unreadable: 0},
  bytes: {raw: 0, new: 0, stored: 0, all: 0, codecs: {}},
  seconds: {scan: 0, transfer: 0, total: 0},
  skippedMounts: [],
  decoders: [],
  warnings: {},
  notes: {},
  leftOut: {},
  reusedPacks: 0,
}

async function started(worker = new ScriptedWorker(), clock = new ManualClock()) {
  worker.greet()
  const client = await startWorker(worker.session(), {argv: ['python']}, clock)
  return {worker, client, clock}
}

async function creating(handlers: RequestHandlers = {}, signal?: AbortSignal) {
  const all = await started()
  const result = all.client.create(REQUEST, handlers, signal)
  result.catch(() => {})
  const {id} = await all.worker.hears('create')
  return {...all, result, id}
}

test('noise of a login shell before the marker is skipped', async () => {
  const worker = new ScriptedWorker().raw('Welcome to vast.ai\n\u001b[1m$ ').greet()
  const client = await startWorker(worker.session(), {argv: ['python']}, new ManualClock())
  expect(client.hello.home).toBe('/root')
  await client.close()
})

test('endless noise without a marker ends the worker', async () => {
  const worker = new ScriptedWorker().raw(`${'x'.repeat(1000)}\n`.repeat(300))
  await expect(
    startWorker(worker.session(), {argv: ['python']}, new ManualClock()),
  ).rejects.toMatchObject({
    code: 'WORKER',
  })
  expect(worker.killed).toBe(true)
})

test('a worker of another protocol is refused', async () => {
  const worker = new ScriptedWorker().greet({protocol: 2})
  await expect(
    startWorker(worker.session(), {argv: ['python']}, new ManualClock()),
  ).rejects.toMatchObject({
    code: 'WORKER',
    message: expect.stringContaining('protocol 2'),
  })
})

test('a request gets its result', async () => {
  const {worker, client, result, id} = await creating()
  worker.say({type: 'result', to: id, ...RESULT})
  expect(await result).toEqual(RESULT)
  await client.close()
  expect(worker.killed).toBe(false)
})

test('questions are answered while others are still open', async () => {
  const open: ((yes: boolean) => void)[] = []
  const {worker, client, id} = await creating({
    settle: () => new Promise((resolve) => open.push(resolve)),
    earlier: () => Promise.resolve(['packs/x']),
  })
  worker.say({type: 'settle', id: 1, key: 'packs/a'})
  worker.say({type: 'earlier', id: 2, packs: []})
  expect(await worker.hears('reply')).toEqual({type: 'reply', to: 2, accepted: ['packs/x']})
  open[0]?.(true)
  expect(await worker.hears('reply')).toEqual({type: 'reply', to: 1, stored: true})
  worker.say({type: 'result', to: id, ...RESULT})
  await client.close()
})

test('a question that the request does not allow ends it', async () => {
  const {worker, result} = await creating()
  worker.say({type: 'fetch', id: 1, keys: ['packs/a/b']})
  await expect(result).rejects.toMatchObject({
    code: 'WORKER',
    message: expect.stringContaining('fetch'),
  })
  expect(worker.heard.map(({type}) => type)).toContain('cancel')
})

test.each([
  ['not JSON', 'hello?\n'],
  ['an unknown type', '{"type": "exec", "id": 1}\n'],
  ['a negative size', '{"type": "progress", "phase": "scan", "raw": -1}\n'],
  ['a key that leaves the prefix', '{"type": "settle", "id": 1, "key": "../x"}\n'],
  ['a line of 2 MiB', `"${'x'.repeat(2 ** 21)}"\n`],
  ['a result of another request', '{"type": "result", "to": 99}\n'],
  ['a result without its fields', '{"type": "result", "to": 1}\n'],
  ['a second hello', '{"type": "hello"}\n'],
])('%s ends the conversation', async (_name, line) => {
  const {worker, result} = await creating()
  worker.raw(line)
  await expect(result).rejects.toMatchObject({code: 'WORKER'})
})

test('too many open questions end the conversation', async () => {
  const {worker, result} = await creating({settle: () => new Promise(() => {})})
  for (let id = 0; id < 300; id++) worker.say({type: 'settle', id, key: 'packs/a'})
  await expect(result).rejects.toMatchObject({
    code: 'WORKER',
    message: expect.stringContaining('256'),
  })
})

test('an error of the worker keeps its code and loses its control characters', async () => {
  const {worker, result, id} = await creating()
  worker.say({
    type: 'error',
    to: id,
    code: 'BOX_DISK_FULL',
    message: 'full\u001b[2J',
    hint: 'free some',
    retry: true,
  })
  await expect(result).rejects.toMatchObject({
    code: 'BOX_DISK_FULL',
    message: 'full\\u{1b}[2J',
    hint: 'free some',
    retry: 'later',
  })
})

test('an unknown code of the worker counts as WORKER', async () => {
  const {worker, result, id} = await creating()
  worker.say({type: 'error', to: id, code: 'toString', message: 'odd'})
  await expect(result).rejects.toMatchObject({code: 'WORKER', message: 'odd'})
})

test('a worker that ends without a result is told with the end of its stderr', async () => {
  const {worker, result} = await creating()
  worker.stderr.write('Traceback …\nMemoryError\u0007\n')
  await settled()
  worker.exit(1)
  await expect(result).rejects.toMatchObject({
    code: 'WORKER',
    message: expect.stringContaining('MemoryError\\u{7}'),
  })
})

test('an exit status of 0 without a result is a failure all the same', async () => {
  const {worker, result} = await creating()
  worker.exit(0)
  await expect(result).rejects.toMatchObject({code: 'WORKER'})
})

test('a lost connection is UNREACHABLE', async () => {
  const {worker, result} = await creating()
  worker.lose(Object.assign(new Error('cut'), {name: 'DumontError', code: 'UNREACHABLE'}))
  await expect(result).rejects.toMatchObject({code: 'UNREACHABLE'})
})

test('heartbeats go out every ten seconds', async () => {
  const {worker, clock, client} = await started()
  await clock.advance(35_000)
  expect(worker.heard.filter(({type}) => type === 'heartbeat')).toHaveLength(3)
  await client.close()
})

test('a minute of silence is UNREACHABLE and kills the worker', async () => {
  const {worker, clock, result} = await creating()
  worker.onInputEnd = () => {}
  await clock.advance(59_000)
  expect(worker.killed).toBe(false)
  await clock.advance(15_000)
  await expect(result).rejects.toMatchObject({code: 'UNREACHABLE'})
  expect(worker.killed).toBe(true)
})

test('any message breaks the silence', async () => {
  const {worker, client, clock, result, id} = await creating()
  for (let minute = 0; minute < 4; minute++) {
    await clock.advance(45_000)
    worker.say({type: 'heartbeat'})
  }
  await settled()
  worker.say({type: 'result', to: id, ...RESULT})
  await result
  await client.close()
})

test('cancel is said, stdin ends, and a worker that obeys is not killed', async () => {
  const abort = new AbortController()
  const {worker, result} = await creating({}, abort.signal)
  abort.abort()
  await expect(result).rejects.toMatchObject({code: 'INTERRUPTED'})
  expect(worker.heard.at(-1)).toEqual({type: 'cancel'})
  expect(worker.inputEnded).toBe(true)
  expect(worker.killed).toBe(false)
})

test('a worker that ignores cancel is killed after two seconds', async () => {
  const abort = new AbortController()
  const {worker, result, clock} = await creating({}, abort.signal)
  worker.onInputEnd = () => {}
  abort.abort()
  await clock.advance(1900)
  expect(worker.killed).toBe(false)
  await clock.advance(200)
  expect(worker.killed).toBe(true)
  await expect(result).rejects.toMatchObject({code: 'INTERRUPTED'})
})

test('a worker that reads nothing can still be cancelled', async () => {
  const worker = new ScriptedWorker({deaf: true})
  const {client, clock} = await started(worker)
  const abort = new AbortController()
  const request = {...REQUEST, excludes: Array.from({length: 1000}, () => 'x'.repeat(100))}
  const result = client.create(request, {}, abort.signal)
  result.catch(() => {})
  await settled()
  abort.abort()
  await clock.advance(2100)
  await expect(result).rejects.toMatchObject({code: 'INTERRUPTED'})
  expect(worker.killed).toBe(true)
})

test('a request that is too long is refused before it is sent', async () => {
  const {client} = await started()
  const request = {...REQUEST, excludes: ['x'.repeat(2 ** 21)]}
  await expect(client.create(request, {})).rejects.toMatchObject({code: 'USAGE'})
})

test('closing twice is closing once', async () => {
  const {worker, client}: {worker: ScriptedWorker; client: Worker} = await started()
  await Promise.all([client.close(), client.close()])
  expect(worker.heard).toHaveLength(1)
})
