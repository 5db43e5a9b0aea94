import {untrusted} from '../untrusted.js'
import {textOf, type BoxTools} from './box-tools.js'

/** One process of the box; the name is as the kernel escapes it. */
export interface BoxProcess {
  readonly pid: number
  readonly parent: number
  readonly name: string
  /** Stopped by a signal: it writes nothing until it is continued. */
  readonly stopped: boolean
  readonly kernel: boolean
  readonly gone: boolean
}

const LINE = /^\/proc\/(?<pid>\d+)\/status:(?<field>Name|State|PPid|VmSize):\t(?<value>.*)$/

/** Every process now. Those that end in between are left out. */
export async function listProcesses(
  tools: BoxTools,
  signal?: AbortSignal,
): Promise<ReadonlyMap<number, BoxProcess>> {
  const files =
    'find /proc -mindepth 2 -maxdepth 2 -ignore_readdir_race -regex /proc/[0-9]+/status -exec'
  const argv = [...files.split(' '), 'grep', '-aHsE', '^(Name|State|PPid|VmSize):', '{}', '+']
  const text = await textOf(tools, argv, {allowed: [0, 1], ...(signal && {signal})})
  const found = new Map<number, Map<string, string>>()
  for (const line of text.split('\n')) {
    const {field = '', pid = '', value = ''} = LINE.exec(line)?.groups ?? {}
    if (pid === '') continue
    const fields = found.get(Number(pid)) ?? new Map<string, string>()
    // A name cannot hold a line break, so the first of each field is the kernel's own.
    if (!fields.has(field)) fields.set(field, value)
    found.set(Number(pid), fields)
  }
  return new Map([...found].map(([pid, fields]) => [pid, processOf(pid, fields)]))
}

export function describeProcess({name, pid}: Pick<BoxProcess, 'name' | 'pid'>): string {
  return `${untrusted(name, 40)} (${pid})`
}

function processOf(pid: number, fields: ReadonlyMap<string, string>): BoxProcess {
  const parent = Number(fields.get('PPid') ?? 0)
  const state = fields.get('State') ?? ''
  return {
    gone: /^[XZ]/.test(state),
    // Whatever runs in user space has memory of its own.
    kernel: !fields.has('VmSize'),
    name: fields.get('Name') ?? '?',
    parent,
    pid,
    stopped: state.startsWith('T'),
  }
}
