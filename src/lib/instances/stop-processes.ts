import type {Clock} from '../clock.js'
import {DumontError} from '../errors.js'
import {textOf, type BoxTools} from './box-tools.js'
import {describeProcess, listProcesses, type BoxProcess} from './processes.js'
import {sparedProcesses} from './spared-processes.js'
import type {Restless} from './stillness.js'

const TERM_WAIT_MS = 10_000
const POLL_MS = 500

/**
 * Ends processes: asks, waits ten seconds, kills. Rejects WORKER when one is still there after that. Those that keep the
 * box reachable are refused before anything is sent.
 */
export async function stopProcesses(
  tools: BoxTools,
  restless: readonly Restless[],
  clock: Clock,
  signal?: AbortSignal,
): Promise<void> {
  const isSpared = await sparedProcesses(tools, signal)
  const processes = await listProcesses(tools, signal)
  const untouchable = restless.find(({pid}) => isSpared(processes, pid))
  if (untouchable)
    throw new DumontError(
      'WORKER',
      `${describeProcess(untouchable)} keeps the box reachable and cannot be stopped`,
    )
  const pids = restless.map(({pid}) => pid)
  await send(tools, 'TERM', pids, signal)
  let left = await alive(tools, restless, signal)
  for (let waited = 0; left.length > 0 && waited < TERM_WAIT_MS; waited += POLL_MS) {
    await clock.sleep(POLL_MS, signal)
    left = await alive(tools, restless, signal)
  }
  if (left.length === 0) return
  await send(
    tools,
    'KILL',
    left.map(({pid}) => pid),
    signal,
  )
  for (let waited = 0; waited < TERM_WAIT_MS; waited += POLL_MS) {
    left = await alive(tools, left, signal)
    if (left.length === 0) return
    await clock.sleep(POLL_MS, signal)
  }
  throw new DumontError('WORKER', `${left.map(describeProcess).join(', ')} cannot be stopped`)
}

/** Sends a signal; processes that are gone already are no error. */
export async function send(
  tools: BoxTools,
  name: 'CONT' | 'KILL' | 'STOP' | 'TERM',
  pids: readonly number[],
  signal?: AbortSignal,
): Promise<void> {
  if (pids.length === 0) return
  const script = 'name=$1; shift; for pid; do kill -s "$name" "$pid" 2>/dev/null; done; exit 0'
  await textOf(tools, ['sh', '-c', script, 'sh', name, ...pids.map(String)], signal ? {signal} : {})
}

async function alive(
  tools: BoxTools,
  wanted: readonly Restless[],
  signal?: AbortSignal,
): Promise<readonly Restless[]> {
  const now = await listProcesses(tools, signal)
  return wanted.filter(({name, pid}) => isAlive(now.get(pid), name))
}

/** A number may have been given out again, to somebody else. */
function isAlive(one: BoxProcess | undefined, name: string): boolean {
  return one !== undefined && !one.gone && one.name === name
}
