import {textOf, type BoxTools} from './box-tools.js'
import {listProcesses, type BoxProcess} from './processes.js'

const SERVERS = new Set(['dropbear', 'sshd', 'sshd-auth', 'sshd-session', 'tini', 'docker-init'])

/**
 * Who is never stopped nor frozen: process 1, the kernel's own, whatever serves SSH, what our connection descends from, and
 * everything under it, which is where the worker runs. The answer is asked for each new listing: listing starts processes.
 */
export async function sparedProcesses(
  tools: BoxTools,
  signal?: AbortSignal,
): Promise<(processes: ReadonlyMap<number, BoxProcess>, pid: number) => boolean> {
  const script =
    'p=$$; while [ "${p:-0}" -gt 1 ]; do echo "$p"; p=$(sed -n "s/^PPid:[^0-9]*//p" "/proc/$p/status"); done'
  const text = await textOf(tools, ['sh', '-c', script], signal ? {signal} : {})
  const ancestors = text.trim().split('\n').map(Number)
  const then = await listProcesses(tools, signal)
  const login = ancestors.find((pid) => isServer(then.get(pid))) ?? ancestors[0] ?? 1
  return (processes, pid) => {
    const one = processes.get(pid)
    return (
      pid === 1 ||
      one?.kernel === true ||
      isServer(one) ||
      ancestors.includes(pid) ||
      descendsFrom(processes, pid, login)
    )
  }
}

function isServer(one: BoxProcess | undefined): boolean {
  return SERVERS.has(one?.name ?? '')
}

function descendsFrom(
  processes: ReadonlyMap<number, BoxProcess>,
  pid: number,
  ancestor: number,
): boolean {
  const seen = new Set<number>()
  for (let at = pid; at > 1 && !seen.has(at); at = processes.get(at)?.parent ?? 0) {
    if (at === ancestor) return true
    seen.add(at)
  }
  return false
}
