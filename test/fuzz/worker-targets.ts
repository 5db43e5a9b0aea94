import {EXIT, exitCodeOf} from '../../src/lib/errors.js'
import {answerIn, endOfAnswer, parseAnswer} from '../../src/lib/worker/box-answer.js'
import {linesAfterMarker} from '../../src/lib/worker/line-reader.js'
import {
  check,
  failureOf,
  MARKER,
  MAX_LINE,
  parseWorkerMessage,
} from '../../src/lib/worker/protocol.js'
import {createResult, restoreResult, transcodeResult} from '../../src/lib/worker/results.js'
import {bufferOf, fixture, insist, isPlain, refusing, type Target, textOf} from './target.js'

const REFUSALS = [
  'BOX_DISK_FULL',
  'BOX_UNSUITABLE',
  'INTEGRITY',
  'TARGET_UNWRITABLE',
  'WORKER',
] as const

function messages(): Buffer[] {
  const lines = fixture('protocol/worker-to-operator.jsonl').toString('utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => Buffer.from(line))
}

/** Numbers of the wire are sizes and counts: never negative, never beyond what adds up exactly. */
function checkNumbers(value: unknown, depth = 0): void {
  if (typeof value === 'number') insist(value >= 0 && Number.isFinite(value), `a number ${value}`)
  if (typeof value !== 'object' || value === null || depth > 10) return
  for (const inner of Object.values(value)) checkNumbers(inner, depth + 1)
}

const line: Target = {
  name: 'protocol-line',
  seeds: messages,
  async run(input) {
    const message = await refusing(['WORKER'], () => parseWorkerMessage(textOf(input)))
    if (!message) return
    if (message.type === 'error') {
      const failure = failureOf(message)
      insist(
        isPlain(failure.message) && isPlain(failure.hint ?? ''),
        'a failure that drives the terminal',
      )
      insist(exitCodeOf(failure) !== EXIT.bug, 'a failure without exit code')
    } else if (message.type === 'result') {
      for (const schema of [createResult, restoreResult, transcodeResult]) {
        const result = await refusing(['WORKER'], () => check(schema, message, 'a result'))
        if (result) checkNumbers(result)
      }
    } else if (message.type !== 'hello') checkNumbers(message)
  },
}

const stream: Target = {
  name: 'protocol-stream',
  isSlow: true,
  seeds: () => [
    Buffer.concat([
      Buffer.from(`motd\n$ ${MARKER}\n`),
      fixture('protocol/worker-to-operator.jsonl'),
    ]),
  ],
  async run(input) {
    // In pieces of every size, and over and over again, so that the bounds are met too.
    for (const [size, times] of [
      [7, 1],
      [4096, 1],
      [65_536, 20],
    ] as const)
      await refusing(['WORKER'], async () => {
        for await (const text of linesAfterMarker(pieces(input, size, times)))
          insist(Buffer.byteLength(text) <= 3 * MAX_LINE, 'a line beyond its bound')
      })
  },
}

async function* pieces(input: Uint8Array, size: number, times: number): AsyncGenerator<Uint8Array> {
  for (let time = 0; time < times; time++)
    for (let at = 0; at < input.length; at += size) yield input.subarray(at, at + size)
}

const answer: Target = {
  name: 'box-answer',
  seeds: () =>
    [
      'motd\ndumont-equip 1 {"ok":{"path":"/usr/bin/python3","version":"3.12.3"}}\n',
      'dumont-equip 1 {"refused":{"code":"BOX_DISK_FULL","hint":"make room","message":"no space"}}\nrest',
    ].map((text) => Buffer.from(text)),
  async run(input) {
    const end = endOfAnswer(bufferOf(input))
    insist(end === undefined || (end > 0 && end <= input.length), 'the end of an answer')
    const text = answerIn(textOf(end === undefined ? input : input.subarray(0, end)))
    if (text !== undefined) await refusing(REFUSALS, () => parseAnswer(text, 'root@box:22'))
  },
}

export const WORKER_TARGETS: readonly Target[] = [line, stream, answer]
