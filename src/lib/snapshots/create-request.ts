import {fileURLToPath} from 'node:url'
import {DumontError} from '../errors.js'
import type {Session} from '../remote/session.js'
import type {Hello} from '../worker/protocol.js'
import {defaultLabel} from './lineage.js'
import type {BoxService} from './service.js'

/** What an operator asks for; paths are absolute on the box. */
export interface CreateSnapshotRequest {
  readonly host: string
  /** Empty: /workspace where the box has it. */
  readonly paths: readonly string[]
  readonly name?: string
  /** Words by which it is found, and kept, later. */
  readonly tags?: readonly string[]
  readonly excludes: readonly string[]
  readonly excludeCaches: boolean
  readonly crossMounts: boolean
  readonly parts: number
  /** Bytes; absent: a quarter of the box's memory, at most 1 GiB. */
  readonly memory?: number
  readonly codec: 'ans' | 'auto' | 'gzstd' | 'none' | 'zstd'
  /** Of zstd. */
  readonly level: number
  /** Whether tensors may be stored as differences from other versions of them; default false. */
  readonly delta?: boolean
  /** Parity objects for each group of what is stored: so many lost ones of it can be made again; default 0. */
  readonly parity?: number
  /** Reads every file, also those that look unchanged, when that was last done longer ago than this; absent: never. */
  readonly rereadAfterMs?: number
  readonly dryRun: boolean
  /** Goes on although the store shows less than was seen before. */
  readonly acceptRollback: boolean
}

/** The label of the lineage: the name given, else host, port and path; USAGE for a name nobody could type again. */
export function labelOf(
  {name}: Pick<CreateSnapshotRequest, 'name'>,
  address: string,
  roots: readonly string[],
): string {
  if (name === undefined) return defaultLabel(address, roots)
  if (/^\P{Cc}{1,200}$/u.test(name)) return name
  throw new DumontError('USAGE', 'a name has 1 to 200 characters, none of them a control character')
}

const DEFAULT_PATH = '/workspace'
const GIB = 1024 ** 3

/** The paths to save: those given, else /workspace; USAGE when there is none. */
export async function rootsOn(
  session: Session,
  paths: readonly string[],
  signal?: AbortSignal,
): Promise<readonly string[]> {
  if (paths.length > 0) return paths
  const options = signal ? {signal} : {}
  const {code} = await session.exec(['test', '-d', DEFAULT_PATH], options)
  if (code === 0) return [DEFAULT_PATH]
  throw new DumontError('USAGE', `${session.label} has no ${DEFAULT_PATH}`, {
    hint: 'name the directories to save: dumont snapshot create --host … /path [/more/paths]',
  })
}

/** A quarter of what the box may use, at most 1 GiB: its own work comes first. */
export function memoryFor({host}: Hello, asked: number | undefined): number {
  return asked ?? Math.max(1, Math.min(GIB, Math.floor(host.memory / 4)))
}

/** What is never read when box and operator's machine are one: the store itself, its keys, and the operator's memory. */
export function protectedPaths(
  session: Session,
  {keyPaths = [], stateDir, store}: Pick<BoxService, 'keyPaths' | 'stateDir' | 'store'>,
): readonly string[] {
  if (!session.isLocal) return []
  const shelf = store.url.startsWith('file:') ? [fileURLToPath(store.url)] : []
  return [stateDir, ...keyPaths, ...shelf]
}
