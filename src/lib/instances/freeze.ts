import {DumontError} from '../errors.js'
import {textOf, type BoxTools} from './box-tools.js'
import {endFreeze, guardFreeze, type FreezeMark} from './freeze-guard.js'
import {describeProcess, listProcesses} from './processes.js'
import {sparedProcesses} from './spared-processes.js'

/** A box on which nothing runs but what keeps it reachable. It thaws by itself when the freeze is not renewed. */
export interface Frozen extends FreezeMark {
  readonly pids: readonly number[]
  /** Continues what was stopped; to be called on every failure. Processes that are gone are no error. */
  thaw(signal?: AbortSignal): Promise<void>
}

/** New processes may be born while others are being stopped. */
const ROUNDS = 10

/**
 * Stops every process but those that keep the box reachable, then syncs; continues them all when that fails. `name` is one
 * that no freeze had before.
 */
export async function freeze(
  tools: BoxTools,
  {misses, name}: {readonly name: string; readonly misses?: number},
  signal?: AbortSignal,
): Promise<Frozen> {
  const stopped = new Set<number>()
  const guard = await guardFreeze(tools, name, misses === undefined ? {} : {misses}, signal)
  const thaw = (stop?: AbortSignal) => endFreeze(tools, guard, stop)
  try {
    const isSpared = await sparedProcesses(tools, signal)
    for (let round = 0; ; round += 1) {
      const processes = await listProcesses(tools, signal)
      const running = [...processes.values()].filter(
        ({gone, parent, pid, stopped: still}) =>
          !gone && !still && pid !== guard.pid && parent !== guard.pid && !isSpared(processes, pid),
      )
      if (running.length === 0) break
      if (round === ROUNDS)
        throw new DumontError(
          'WORKER',
          `${running.map(describeProcess).join(', ')} cannot be frozen`,
        )
      const pids = running.map(({pid}) => pid)
      for (const pid of pids) stopped.add(pid)
      await guard.stop(pids, signal)
    }
    await textOf(tools, ['sync'], {timeoutMs: 300_000, ...(signal && {signal})})
  } catch (error) {
    await thaw()
    throw error
  }
  return {pids: [...stopped], place: guard.place, thaw}
}
