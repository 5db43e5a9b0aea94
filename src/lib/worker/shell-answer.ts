import type {Readable} from 'node:stream'
import {setMaxListeners} from 'node:events'

import {DumontError} from '../errors.js'
import type {RemoteProcess, Session} from '../remote/session.js'
import {endOfAnswer} from './box-answer.js'
import {keepTail} from './stderr-tail.js'
import {untilAborted} from './until-aborted.js'

const ANSWER_MS = 60_000
const OUTPUT_MOST = 1 << 20

/** A script that has answered or has ended. */
export interface ScriptRun {
  /** Up to the answer's line and with it, or all of it when there is none. What follows is still in its stdout. */
  readonly output: string
  readonly running: RemoteProcess
  /** The last of what it wrote to stderr, made harmless. */
  readonly stderr: () => string
}

/** Runs a script in `sh`, whose stdin stays open, until it has answered or ended; it is ended when that takes a minute. */
export async function runUntilAnswer(
  session: Session,
  script: string,
  signal?: AbortSignal,
): Promise<ScriptRun> {
  const running = await session.start(['sh'], signal)
  const stderr = keepTail(running.stderr)
  // It may end before it has read all; its exit status tells.
  running.stdin.on('error', () => {})
  running.stdin.write(script)
  const late = AbortSignal.timeout(ANSWER_MS)
  const ending = signal ? AbortSignal.any([signal, late]) : late
  setMaxListeners(0, ending)
  try {
    const reading = Promise.race([
      outputOf(running.stdout as Readable, session.label),
      session.lost,
    ])
    return {output: await untilAborted(reading, ending), running, stderr}
  } catch (error) {
    running.kill()
    throw late.aborted && !signal?.aborted ? tooLate(session.label) : error
  }
}

async function outputOf(stdout: Readable, label: string): Promise<string> {
  let text = Buffer.alloc(0)
  for await (const piece of stdout.iterator({destroyOnReturn: false})) {
    text = Buffer.concat([text, piece as Uint8Array])
    const end = endOfAnswer(text)
    if (end !== undefined) {
      if (end < text.length) stdout.unshift(text.subarray(end))
      return text.toString('utf8', 0, end)
    }
    if (text.length > OUTPUT_MOST)
      throw new DumontError('WORKER', `the login shell of ${label} writes without an end`, {
        hint: 'let it write nothing when it is not interactive',
      })
  }
  return text.toString('utf8')
}

function tooLate(label: string): DumontError {
  return new DumontError('UNREACHABLE', `${label} did not answer within ${ANSWER_MS / 1000} s`, {
    hint: 'look whether the box is overloaded or its disk hangs, then run the command again',
    retry: 'later',
  })
}
