import {readFileSync} from 'node:fs'
import {describe, expect, test} from '@jest/globals'
import * as v from 'valibot'
import {check, parseWorkerMessage, workerMessage} from '../../../src/lib/worker/protocol.js'
import {encodeMessage, operatorMessage} from '../../../src/lib/worker/requests.js'
import {
  createResult,
  rateResult,
  repairResult,
  restoreResult,
  verifyResult,
} from '../../../src/lib/worker/results.js'

const fixtures = (name: string) =>
  readFileSync(`test/fixtures/protocol/${name}.jsonl`, 'utf8').trimEnd().split('\n')

describe('the lines both sides are tested with', () => {
  test.each(fixtures('worker-to-operator'))('a worker may say %.60s', (line) => {
    const message = parseWorkerMessage(line)
    expect(message).toEqual(v.parse(workerMessage, JSON.parse(line)))
    if (message.type === 'result')
      expect(
        [createResult, restoreResult, verifyResult, rateResult, repairResult].some((schema) =>
          v.is(schema, message),
        ),
      ).toBe(true)
  })

  test.each(fixtures('operator-to-worker'))('we say %.60s', (line) => {
    const value = JSON.parse(line) as unknown
    const message = v.parse(operatorMessage, value)
    // Nothing is lost on the way: the worker reads what we write.
    expect(JSON.parse(encodeMessage(message))).toEqual(value)
  })

  test('are of every type there is', () => {
    const types = (lines: string[]) =>
      new Set(lines.map((line) => (JSON.parse(line) as {type: string}).type))
    const optionsOf = (schema: typeof operatorMessage | typeof workerMessage) =>
      new Set(schema.options.map((option) => option.entries.type.literal))
    expect(types(fixtures('worker-to-operator'))).toEqual(optionsOf(workerMessage))
    expect(types(fixtures('operator-to-worker'))).toEqual(optionsOf(operatorMessage))
  })
})

test('unknown fields of a message are dropped', () => {
  const message = parseWorkerMessage(
    '{"type": "settle", "id": 1, "key": "packs/a/0-0-1", "later": true}',
  )
  expect(message).toEqual({type: 'settle', id: 1, key: 'packs/a/0-0-1'})
})

test('a complaint about a message shows nothing that could drive a terminal', () => {
  expect(() => parseWorkerMessage('\u001b[2J')).toThrow(/\\u\{1b\}/)
})

test.each([1.5, -1, 2 ** 53, '7', null])('%p is no number of bytes', (raw) => {
  const line = JSON.stringify({type: 'progress', phase: 'scan', raw})
  expect(() => parseWorkerMessage(line)).toThrow(/raw/)
})

test.each(['/etc/passwd', 'packs//x', '../dumont.json', 'packs/a b', 'x'.repeat(600), ''])(
  '%p is no key',
  (key) => {
    expect(() => parseWorkerMessage(JSON.stringify({type: 'settle', id: 1, key}))).toThrow(/key/)
  },
)

test('a result names the field that is wrong', () => {
  expect(() => check(createResult, {roots: [{path: 1}]}, 'a create result')).toThrow(
    /roots\.0\.path/,
  )
})
