import {DumontError} from '../errors.js'
import {failed, type BoxTools} from './box-tools.js'

/** Longer than any path a tree can be walked by, and short enough that a liar cannot fill the memory. */
const FIELD_MAX = 262_144
const STDERR_MAX = 2000
const LIMIT_MS = 30 * 60_000

/**
 * Runs a tool that prints NUL-terminated fields and yields them `width` at a time, as they come; nothing is kept. Rejects
 * WORKER when the output is cut short or the tool fails: what was yielded until then is no census.
 */
export async function* toolRecords(
  tools: BoxTools,
  argv: readonly string[],
  {allowed = [0], width}: {readonly width: number; readonly allowed?: readonly number[]},
  signal?: AbortSignal,
): AsyncGenerator<readonly Buffer[], void, undefined> {
  const bounded = AbortSignal.any([AbortSignal.timeout(LIMIT_MS), ...(signal ? [signal] : [])])
  const running = await tools.start(argv, bounded)
  const stop = () => running.kill()
  bounded.addEventListener('abort', stop)
  try {
    running.stdin.on('error', () => {}).end()
    const complaint = tail(running.stderr)
    yield* fields(running.stdout as AsyncIterable<Buffer>, width, argv[0] ?? '')
    const code = await running.exited
    bounded.throwIfAborted()
    if (!allowed.includes(code)) throw failed(tools, argv[0] ?? '', code, complaint())
  } catch (error) {
    if (bounded.aborted && !signal?.aborted)
      throw new DumontError('UNREACHABLE', `${argv[0]} did not end within 30 minutes`, {
        cause: error,
        retry: 'later',
      })
    throw error
  } finally {
    bounded.removeEventListener('abort', stop)
    running.kill()
  }
}

async function* fields(
  stdout: AsyncIterable<Buffer>,
  width: number,
  name: string,
): AsyncGenerator<readonly Buffer[], void, undefined> {
  let rest: Buffer = Buffer.alloc(0)
  let record: Buffer[] = []
  for await (const piece of stdout) {
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece])
    let start = 0
    for (let end = bytes.indexOf(0); end !== -1; end = bytes.indexOf(0, start)) {
      record.push(bytes.subarray(start, end))
      start = end + 1
      if (record.length < width) continue
      yield record
      record = []
    }
    rest = bytes.subarray(start)
    if (rest.length > FIELD_MAX) throw strange(name, 'a field without end')
  }
  if (rest.length > 0 || record.length > 0) throw strange(name, 'output that is cut short')
}

function strange(name: string, what: string): DumontError {
  return new DumontError('WORKER', `${name} on the box printed ${what}`)
}

function tail(stream: NodeJS.ReadableStream): () => string {
  let text = ''
  stream.on('data', (chunk: Buffer | string) => {
    text = (text + chunk.toString('utf8')).slice(-STDERR_MAX)
  })
  return () => text
}
