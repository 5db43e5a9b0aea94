import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {setTimeout as delay} from 'node:timers/promises'

const MOST_CHARACTERS = 64 * 1024
/** What a command leaves running may hold its outputs open for ever. */
const LAST_WORDS_MS = 1000

/** How a command of the operator ended. */
export interface CommandOutcome {
  /** Undefined when it was ended: by a signal, by the time limit, or because it could not be started. */
  readonly code: number | undefined
  readonly timedOut: boolean
  /** Both are cut at 64 KiB. */
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs a line of the operator's own by /bin/sh on the operator's machine. What it is about comes as one JSON document on its
 * standard input and never as part of the line, so nothing from a vendor or a box is ever read as a command. It is ended, with
 * all it started, when the time is up or the signal aborts; then this rejects with the signal's reason.
 */
export async function runOperatorCommand(
  line: string,
  data: unknown,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<CommandOutcome> {
  signal?.throwIfAborted()
  // A group of its own, so that ending it ends its children as well.
  const child = spawn('/bin/sh', ['-c', line], {detached: true, stdio: ['pipe', 'pipe', 'pipe']})
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)]
  // Commands need not read what they are told.
  child.stdin.on('error', () => {}).end(`${JSON.stringify(data)}\n`)
  const timeout = AbortSignal.timeout(timeoutMs)
  const ended = signal ? AbortSignal.any([signal, timeout]) : timeout
  const end = () => endGroup(child)
  ended.addEventListener('abort', end)
  const closed = once(child, 'close').catch(() => {})
  try {
    const [code] = (await once(child, 'exit')) as [number | null]
    await Promise.race([closed, delay(LAST_WORDS_MS, undefined, {ref: false})])
    signal?.throwIfAborted()
    return {
      code: code ?? undefined,
      timedOut: timeout.aborted,
      stdout: stdout(),
      stderr: stderr(),
    }
  } catch (error) {
    signal?.throwIfAborted()
    return {code: undefined, timedOut: false, stdout: '', stderr: String(error)}
  } finally {
    ended.removeEventListener('abort', end)
    child.stdout.destroy()
    child.stderr.destroy()
  }
}

function collect(stream: NodeJS.ReadableStream): () => string {
  let text = ''
  stream.setEncoding('utf8')
  stream.on('data', (piece: string) => {
    text = (text + piece).slice(0, MOST_CHARACTERS)
  })
  return () => text
}

function endGroup({pid}: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It ended by itself meanwhile.
  }
}
