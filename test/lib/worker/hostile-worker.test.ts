import {describe, expect, test} from '@jest/globals'
import {linesAfterMarker} from '../../../src/lib/worker/line-reader.js'
import {MARKER} from '../../../src/lib/worker/protocol.js'
import type {RestoreRequest} from '../../../src/lib/worker/requests.js'
import {startWorker} from '../../../src/lib/worker/worker-client.js'
import {ManualClock} from '../../support/manual-clock.js'
import {ScriptedWorker} from '../../support/scripted-worker.js'

const DIGEST = {key: 'index/20261123T140200Z-k3fyqz/packs', length: 1, sha256: '0'.repeat(64)}
const REQUEST: RestoreRequest = {
  type: 'restore',
  snapshot: '20261123T140200Z-k3fyqz',
  lineage: 'c'.repeat(32),
  roots: [{path: '/workspace', type: 'dir'}],
  segments: [],
  packs: DIGEST,
  target: null,
  include: [],
  overwrite: 'if-changed',
  delete: false,
  rules: {},
  devices: false,
  includeAccessFiles: false,
  privileges: false,
  parts: 4,
  memory: 2 ** 30,
  dryRun: false,
  salvage: false,
}

/** What becomes of a restore whose worker says these lines. */
async function answerTo(...lines: readonly string[]) {
  const worker = new ScriptedWorker()
  worker.greet()
  const client = await startWorker(worker.session(), {argv: ['python']}, new ManualClock())
  const result = client.restore(REQUEST, {}).catch((error: unknown) => error)
  await Promise.race([worker.hears('restore'), result])
  for (const line of lines) worker.raw(`${line}\n`)
  return {worker, answer: await result}
}

const RESULT = {
  type: 'result',
  to: 1,
  counts: {files: 1},
  bytes: {raw: 1, fetched: 1, written: 1},
  same: 0,
  written: 1,
  deleted: 0,
  failed: 0,
  failures: [],
  seconds: 1,
  warnings: {},
  notes: {},
}
const told = (changes: object) => JSON.stringify({...RESULT, ...changes})
/** A value in JSON's own spelling, some of which JavaScript cannot write. */
const withRaw = (value: string) => told({written: '@'}).replace('"@"', value)

describe('a worker that lies', () => {
  test('is believed as long as it keeps to the protocol', async () => {
    expect((await answerTo(told({}))).answer).toMatchObject({written: 1})
  })

  test.each([
    ['a result of another request', told({to: 2})],
    ['a result of no request', told({to: null})],
    ['a result of a request below zero', told({to: -1})],
    ['a second greeting', '{"type":"hello","protocol":1}'],
    ['a message of no type', '{}'],
    ['a message of a type of JavaScript', '{"type":"__proto__"}'],
    ['a list', '[1]'],
    ['a number', '7'],
    ['half a line', '{"type":"resu'],
    ['brackets without end', '['.repeat(500_000)],
    ['a count below zero', withRaw('-1')],
    ['a count beyond numbers', withRaw('1e999')],
    ['a count beyond exact numbers', withRaw('9007199254740993')],
    ['a broken count', withRaw('1.5')],
    ['a count in words', withRaw('"1"')],
    ['no number', withRaw('NaN')],
    ['time that runs backwards', told({seconds: -1})],
    ['time without end', told({seconds: 0}).replace('"seconds":0', '"seconds":1e999')],
    [
      'more failures than may be told',
      told({
        failures: Array.from({length: 101}, () => ({path: 'a', code: 'damaged', message: ''})),
      }),
    ],
    [
      'a failure with text for a code',
      told({failures: [{path: 'a', code: '\u001B[2J', message: ''}]}),
    ],
    ['progress below zero', '{"type":"progress","phase":"write","raw":-1}'],
    [
      'progress of a part beyond all parts',
      `{"type":"progress","phase":"write","parts":[[${'0,'.repeat(3)}-1]]}`,
    ],
    [
      'more parts than there may be',
      `{"type":"progress","phase":"write","parts":[${'[0,0,0,0],'.repeat(1024)}[0,0,0,0]]}`,
    ],
    [
      'more keys at once than may be asked for',
      JSON.stringify({
        type: 'fetch',
        id: 1,
        keys: Array.from({length: 1025}, (_, at) => `packs/a/${at}`),
      }),
    ],
    ['a key that leads elsewhere', '{"type":"fetch","id":1,"keys":["../dumont.json"]}'],
  ])('by %s is not believed, and ended', async (_, line) => {
    const {answer, worker} = await answerTo(line)
    expect(answer).toMatchObject({code: 'WORKER'})
    expect((answer as Error).message).not.toMatch(/\p{Cc}/u)
    expect((answer as Error).message.length).toBeLessThan(1200)
    expect(worker.killed || worker.inputEnded).toBe(true)
  })

  test('with a line of a gigabyte is left after the first megabyte', async () => {
    const piece = Buffer.alloc(65_536, 'x')
    let read = 0
    async function* line() {
      yield Buffer.from(`${MARKER}\n`)
      for (; read < 2 ** 30; read += piece.length) yield piece
    }
    const reading = async () => {
      for await (const _ of linesAfterMarker(line())) throw new Error('a line came of it')
    }
    await expect(reading()).rejects.toMatchObject({code: 'WORKER'})
    expect(read).toBeLessThanOrEqual(2 ** 20 + piece.length)
  })

  test('with a gigabyte before its first line is left after a quarter of a megabyte', async () => {
    const piece = Buffer.from(`${'noise '.repeat(100)}\n`)
    let read = 0
    async function* noise() {
      for (; read < 2 ** 30; read += piece.length) yield piece
    }
    const reading = async () => {
      for await (const _ of linesAfterMarker(noise())) throw new Error('a line came of it')
    }
    await expect(reading()).rejects.toMatchObject({code: 'WORKER'})
    expect(read).toBeLessThan(2 ** 19)
  })
})
