import {DumontError, EXIT, exitCodeOf, isDumontError} from '../errors.js'
import {requireAbsolute} from './absolute-path.js'
import {readableOf} from './fetching.js'
import {findSnapshot, type SnapshotReference} from './find-snapshot.js'
import {mapBounded} from './map-bounded.js'
import {
  restoreHost,
  type HostRestore,
  type RestoreOptions,
  type RestoreSource,
} from './restore-host.js'
import type {BoxService} from './service.js'
import {sideBySide} from './side-by-side.js'
import {readGroups, readPacks, withRemedy} from './stored-index.js'

export interface RestoreSnapshotRequest extends SnapshotReference {
  readonly hosts: readonly string[]
  readonly options: RestoreOptions
}

/** What became of one box: its result, or why there is none. */
export type HostOutcome =
  | ({readonly host: string; readonly ok: true} & HostRestore)
  | {readonly host: string; readonly ok: false; readonly error: unknown}

export interface RestoreSummary {
  readonly id: string
  readonly lineage: string
  readonly label: string
  readonly hosts: readonly HostOutcome[]
  /** Entries that could not be brought back, on all boxes. */
  readonly failed: number
  /** Files that changed while they were saved: they come back as they were read, which may be no state they ever had. */
  readonly torn: number
  readonly seconds: number
}

const HOSTS_AT_ONCE = 32

/**
 * Restores a snapshot onto all boxes at the same time. One that fails does not stop the others; with a single box its error
 * is thrown.
 */
export async function restoreSnapshot(
  {hosts, options, ...reference}: RestoreSnapshotRequest,
  service: BoxService,
  signal?: AbortSignal,
): Promise<RestoreSummary> {
  checkHosts(hosts)
  if (options.target !== undefined) requireAbsolute(options.target)
  const begun = service.clock.now()
  const {manifest, outcomes} = await sideBySide(
    (ending) => openSource(reference, service, ending),
    async (opening, ending) => {
      const restored = await mapBounded(
        hosts,
        HOSTS_AT_ONCE,
        async (host): Promise<HostOutcome> => {
          try {
            const done = await restoreHost(host, opening, {options, service}, ending)
            return {host, ok: true, ...done}
          } catch (error) {
            if (hosts.length > 1 && !ending.aborted) tellFailed(host, error, service)
            return {host, ok: false, error}
          }
        },
      )
      return {manifest: (await opening).manifest, outcomes: restored}
    },
    signal,
  )
  const [first] = outcomes
  if (first && outcomes.length === 1 && !first.ok) throw first.error
  const {id, label, lineage} = manifest
  return {
    id,
    lineage,
    label,
    hosts: outcomes,
    failed: outcomes.reduce((sum, outcome) => sum + (outcome.ok ? outcome.failed : 0), 0),
    torn: manifest.counts.torn,
    seconds: (service.clock.now() - begun) / 1000,
  }
}

function tellFailed(host: string, error: unknown, {report}: BoxService): void {
  const detail = error instanceof Error ? error.message : String(error)
  report({kind: 'step', step: 'restore', state: 'failed', host, detail})
}

/** The worst of all boxes: an error's own code; 65 when damaged content was met; 3 when entries could not be written. */
export function exitCodeOfRestore({hosts}: RestoreSummary): number {
  const codes = hosts.map((outcome): number => {
    if (!outcome.ok) return exitCodeOf(outcome.error)
    if (outcome.damaged > 0) return EXIT.integrity
    return outcome.failed > 0 ? EXIT.incomplete : EXIT.ok
  })
  // A bug outranks what can be explained; apart from that the higher code is the graver one.
  return codes.includes(EXIT.bug) ? EXIT.bug : Math.max(EXIT.ok, ...codes)
}

async function openSource(
  reference: SnapshotReference,
  service: BoxService,
  signal?: AbortSignal,
): Promise<RestoreSource> {
  const {report, store} = service
  report({kind: 'step', step: 'open-store', state: 'started'})
  const {manifest} = await findSnapshot(reference, service, signal)
  const packs = await readPacks(store, manifest, signal).catch((error: unknown) => {
    throw withRemedy(manifest, error)
  })
  const groups = await readGroups(store, manifest, signal).catch((error: unknown) => {
    if (!isDumontError(error) || error.code !== 'INTEGRITY') throw error
    report({kind: 'note', message: `nothing can be made again: ${error.message}`})
    return []
  })
  report({kind: 'step', step: 'open-store', state: 'done', detail: manifest.id})
  return {
    hasParity: groups.length > 0,
    manifest,
    readable: readableOf(manifest.index, packs, groups),
  }
}

function checkHosts(hosts: readonly string[]): void {
  const twice = hosts.find((host, index) => hosts.indexOf(host) !== index)
  if (hosts.length === 0)
    throw new DumontError('USAGE', 'no box to restore to', {hint: 'add --host user@address'})
  if (twice !== undefined) throw new DumontError('USAGE', `${twice} is named twice`)
}
