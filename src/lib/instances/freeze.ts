import {DumontError} from '../errors.js'
import {textOf, type BoxTools} from './box-tools.js'
import {describeProcess, listProcesses} from './processes.js'
import {sparedProcesses} from './spared-processes.js'
import {send} from './stop-processes.js'

/** A box on which nothing runs but what keeps it reachable. */
export interface Frozen {
  readonly pids: readonly number[]
  /** Continues what was stopped; to be called on every failure. Processes that are gone are no error. */
  thaw(signal?: AbortSignal): Promise<void>
}

/** New processes may be born while others are being stopped. */
const ROUNDS = 10

/** Stops every process but those that keep the box reachable, then syncs; continues them all when that fails. */
export async function freeze(tools: BoxTools, signal?: AbortSignal): Promise<Frozen> {
  const stopped = new Set<number>()
  const thaw = (stop?: AbortSignal) => send(tools, 'CONT', [...stopped], stop)
  try {
    const isSpared = await sparedProcesses(tools, signal)
    for (let round = 0; ; round += 1) {
      const processes = await listProcesses(tools, signal)
      const running = [...processes.values()].filter(
        ({gone, pid, stopped: still}) => !gone && !still && !isSpared(processes, pid),
      )
      if (running.length === 0) break
      if (round === ROUNDS)
        throw new DumontError(
          'WORKER',
          `${running.map(describeProcess).join(', ')} cannot be frozen`,
        )
      for (const {pid} of running) stopped.add(pid)
      await send(
        tools,
        'STOP',
        running.map(({pid}) => pid),
        signal,
      )
    }
    await textOf(tools, ['sync'], {timeoutMs: 300_000, ...(signal && {signal})})
  } catch (error) {
    await thaw()
    throw error
  }
  return {pids: [...stopped], thaw}
}
