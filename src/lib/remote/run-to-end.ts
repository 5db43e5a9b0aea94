import type {Readable, Writable} from 'node:stream'

import {DumontError} from '../errors.js'
import {collect, tooMuchOutput} from './bounded-output.js'
import type {ExecOptions, ExecResult, RemoteProcess} from './session.js'

const DEFAULT_TIMEOUT_MS = 60_000

/** Feeds a started program its stdin and waits for its end, with bounded output and time. */
export async function runToEnd(
  running: RemoteProcess,
  program: {readonly label: string; readonly name: string},
  {stdin = new Uint8Array(), timeoutMs = DEFAULT_TIMEOUT_MS, signal}: ExecOptions,
): Promise<ExecResult> {
  const {label, name} = program
  const cut = cutShort(signal, timeoutMs, () => slow(label, name, timeoutMs))
  const overflow = () => cut.now(tooMuchOutput(label, name))
  const stdout = collect(running.stdout, overflow)
  const stderr = collect(running.stderr, overflow)
  feed(running.stdin as Writable, stdin)
  try {
    const code = await Promise.race([running.exited, cut.happened])
    return {code, stdout: stdout(), stderr: stderr().toString('utf8')}
  } catch (error) {
    running.kill()
    throw error
  } finally {
    cut.disarm()
    ;(running.stdout as Readable).resume()
    ;(running.stderr as Readable).resume()
  }
}

/** A program may end before it has read all; its exit status tells, so a broken pipe is no error here. */
function feed(stream: Writable, bytes: Uint8Array): void {
  stream.on('error', () => {})
  stream.end(bytes)
}

function slow(label: string, name: string, timeoutMs: number): DumontError {
  return new DumontError(
    'UNREACHABLE',
    `${name} on ${label} did not end within ${timeoutMs / 1000} s`,
    {
      hint: 'look whether the box is overloaded or its disk hangs, then run the command again',
      retry: 'later',
    },
  )
}

/** `happened` rejects at the time-out, at the signal, or when told to by `now`. */
function cutShort(signal: AbortSignal | undefined, timeoutMs: number, late: () => DumontError) {
  const cut = new AbortController()
  const now = (reason: unknown) => cut.abort(reason)
  const happened = new Promise<never>((_resolve, reject) => {
    cut.signal.addEventListener('abort', () => reject(cut.signal.reason))
  })
  happened.catch(() => {})
  const aborted = () => now(signal?.reason)
  const timer = setTimeout(() => now(late()), timeoutMs)
  if (signal?.aborted) aborted()
  signal?.addEventListener('abort', aborted)
  const disarm = () => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', aborted)
  }
  return {disarm, happened, now}
}
