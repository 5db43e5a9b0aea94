import {isAtOrBelow, placeOf, shownPlace} from './box-places.js'
import {textOf, type BoxTools} from './box-tools.js'
import {listProcesses} from './processes.js'
import {toolRecords} from './tool-records.js'

/** Why a process is not still: it can write below the roots, holds GPU memory, or cannot be looked into. */
export interface Restless {
  readonly pid: number
  readonly name: string
  readonly why: 'gpu' | 'unseen' | 'writes'
  /** A file that it writes; for showing. */
  readonly path?: string
}

export interface Stillness {
  readonly restless: readonly Restless[]
  readonly processes: number
  /** Whether nvidia-smi was there to ask. */
  readonly gpuAsked: boolean
}

// A process that ends in between, or may not be looked into, is no failure here: `unseen` asks for each.
const FOUND = {allowed: [0, 1], width: 2}
const WRITING = 3
// Writable and shared, of a file that is no device: drivers map theirs by the thousand.
const SHARED = '^[^ ]+ .w.s .* /([^d]|d[^e]|de[^v]|dev[^/]|dev/shm)'
// Every CUDA context opens it; watchers of temperature do not.
const GPU_MEMORY = '/dev/nvidia-uvm'

/** Looks who could still change the roots (absolute paths, Latin-1 text). Stopped processes count as still. */
export async function lookForWriters(
  tools: BoxTools,
  roots: readonly string[],
  signal?: AbortSignal,
): Promise<Stillness> {
  const processes = await listProcesses(tools, signal)
  const found = new Map<number, Restless>()
  const add = (pid: number, why: Restless['why'], path?: string) => {
    const process = processes.get(pid)
    if (!process || process.gone || process.kernel || process.stopped || found.has(pid)) return
    found.set(pid, {name: process.name, pid, why, ...(path !== undefined && {path})})
  }
  const below = (place: string) => roots.some((root) => isAtOrBelow(place, root))
  for (const {pid, place} of await writableFiles(tools, below, signal))
    add(pid, 'writes', shownPlace(place))
  for (const {pid, place} of await sharedMappings(tools, below, signal))
    add(pid, 'writes', shownPlace(place))
  const smi = await gpuUsers(tools, signal)
  for (const pid of smi ?? []) add(pid, 'gpu')
  for (const pid of await holders(tools, GPU_MEMORY, signal)) add(pid, 'gpu')
  for (const pid of await unseen(tools, signal)) add(pid, 'unseen')
  return {gpuAsked: smi !== undefined, processes: processes.size, restless: [...found.values()]}
}

interface OpenFile {
  readonly pid: number
  readonly place: string
}

/** Open files below the roots whose flags, in fdinfo, allow writing. */
async function writableFiles(
  tools: BoxTools,
  below: (place: string) => boolean,
  signal?: AbortSignal,
): Promise<readonly OpenFile[]> {
  const open = new Map<string, OpenFile>()
  for await (const [path, target] of toolRecords(tools, linksOfProcesses(), FOUND, signal)) {
    const place = placeOf(target as Buffer).replace(/ \(deleted\)$/, '')
    const [, , pid, , fd] = placeOf(path as Buffer).split('/')
    if (below(place)) open.set(`/proc/${pid}/fdinfo/${fd}`, {pid: Number(pid), place})
  }
  if (open.size === 0) return []
  const stdin = Buffer.from([...open.keys()].join('\0'))
  const argv = ['xargs', '-0', '-r', 'grep', '-aHs', '^flags:']
  const flags = await textOf(tools, argv, {allowed: [0, 1, 123], stdin, ...(signal && {signal})})
  return flags.split('\n').flatMap((line) => {
    const [, path = '', octal = '0'] =
      /^(\/proc\/\d+\/fdinfo\/\d+):flags:\t([0-7]+)$/.exec(line) ?? []
    const file = open.get(path)
    return file && (Number.parseInt(octal, 8) & WRITING) !== 0 ? [file] : []
  })
}

/** Mappings that write through to files, whose descriptors may be closed already. */
async function sharedMappings(
  tools: BoxTools,
  below: (place: string) => boolean,
  signal?: AbortSignal,
): Promise<readonly OpenFile[]> {
  const files =
    'find /proc -mindepth 2 -maxdepth 2 -ignore_readdir_race -regex /proc/[0-9]+/maps -exec'
  const argv = [...files.split(' '), 'grep', '-aHsE', SHARED, '{}', '+']
  const text = await textOf(tools, argv, {allowed: [0, 1], ...(signal && {signal})})
  return Buffer.from(text, 'utf8')
    .toString('latin1')
    .split('\n')
    .flatMap((line) => {
      const [, pid, path = ''] = /^\/proc\/(\d+)\/maps:(?:\S+ +){5}(\/.*)$/.exec(line) ?? []
      const place = path.replace(/ \(deleted\)$/, '').replaceAll(String.raw`\012`, '\n')
      return pid !== undefined && below(place) ? [{pid: Number(pid), place}] : []
    })
}

function linksOfProcesses(...tests: readonly string[]): readonly string[] {
  // Only the folders of open files are entered.
  const inside = String.raw`find /proc -mindepth 1 -maxdepth 3 -ignore_readdir_race -type d ! -regex /proc/[0-9]+\(/fd\)? -prune -o`
  const wanted = '-type l -regex /proc/[0-9]+/fd/[0-9]+'
  return [...inside.split(' '), ...wanted.split(' '), ...tests, '-printf', String.raw`%p\0%l\0`]
}

async function holders(
  tools: BoxTools,
  device: string,
  signal?: AbortSignal,
): Promise<readonly number[]> {
  const pids = new Set<number>()
  for await (const [path] of toolRecords(tools, linksOfProcesses('-lname', device), FOUND, signal))
    pids.add(Number(placeOf(path as Buffer).split('/')[2]))
  return [...pids]
}

/** Undefined where there is no nvidia-smi. In a container it may see nobody, so it is not the only one asked. */
async function gpuUsers(
  tools: BoxTools,
  signal?: AbortSignal,
): Promise<readonly number[] | undefined> {
  const argv = ['nvidia-smi', '--query-compute-apps=pid', '--format=csv,noheader,nounits']
  const {code, stdout} = await tools.exec(argv, {timeoutMs: 20_000, ...(signal && {signal})})
  if (code !== 0) return undefined
  const lines = Buffer.from(stdout).toString('utf8').split('\n')
  return lines
    .map((line) => line.trim())
    .filter((line) => /^\d+$/.test(line))
    .map(Number)
}

/** Processes whose open files even root may not see: a container can lack the capability for other users' processes. */
async function unseen(tools: BoxTools, signal?: AbortSignal): Promise<readonly number[]> {
  const script =
    'for dir in /proc/[0-9]*; do ls "$dir/fd" >/dev/null 2>&1 || { [ -d "$dir" ] && echo "${dir#/proc/}"; }; done; exit 0'
  const text = await textOf(tools, ['sh', '-c', script], signal ? {signal} : {})
  return text
    .split('\n')
    .filter((line) => /^\d+$/.test(line))
    .map(Number)
}
