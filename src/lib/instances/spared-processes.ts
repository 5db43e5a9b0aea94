import {textOf, type BoxTools} from './box-tools.js'
import {listProcesses, type BoxProcess} from './processes.js'

const SERVERS = new Set(['dropbear', 'sshd', 'sshd-auth', 'sshd-session', 'tini', 'docker-init'])

/**
 * Who is never stopped nor frozen: process 1, the kernel's own, whatever serves SSH, our own shell with all it descends
 * from, and everything under the same login, which is where the worker runs.
 */
export async function sparedProcesses(
  tools: BoxTools,
  signal?: AbortSignal,
): Promise<ReadonlySet<number>> {
  const script =
    'p=$$; while [ "${p:-0}" -gt 1 ]; do echo "$p"; p=$(sed -n "s/^PPid:[^0-9]*//p" "/proc/$p/status"); done'
  const text = await textOf(tools, ['sh', '-c', script], signal ? {signal} : {})
  const ancestors = text.trim().split('\n').map(Number)
  const processes = await listProcesses(tools, signal)
  const serves = (pid: number) => SERVERS.has(processes.get(pid)?.name ?? '')
  const login = ancestors.find(serves) ?? ancestors[0] ?? 1
  const spared = new Set([1, ...ancestors])
  for (const {kernel, pid} of processes.values())
    if (kernel || serves(pid) || descendsFrom(processes, pid, login)) spared.add(pid)
  return spared
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
