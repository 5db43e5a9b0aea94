import {DumontError} from '../errors.js'
import {findSnapshot, type SnapshotReference} from './find-snapshot.js'
import type {Damage} from './findings.js'
import {onBox} from './on-box.js'
import {RepairRun} from './repair-run.js'
import type {BoxService} from './service.js'
import {readGroups} from './stored-index.js'

export interface RepairSnapshotRequest extends SnapshotReference {
  /** The box that makes things again. */
  readonly host: string
  /** `listed`: what is missing or shows another size or checksum; `stored`: everything is read as well, packs by the box. */
  readonly level: 'listed' | 'stored'
  readonly parts: number
  /** Bytes. */
  readonly memory?: number
}

export interface RepairResult {
  readonly id: string
  /** Keys of objects that were made again; each was read back and proven on this machine. */
  readonly repaired: readonly string[]
  /** What the box could not make again, and why; safe to show. */
  readonly hopeless: readonly {readonly key: string; readonly message: string}[]
  /** What is damaged still. */
  readonly damaged: readonly Damage[]
  readonly seconds: number
}

/**
 * Makes again what a snapshot has lost in the store, as far as its parity goes, and proves it. Nothing that is there is touched
 * unless this machine has found it damaged; a lock that keeps it rejects ACCESS_DENIED. USAGE for a snapshot without parity,
 * INTEGRITY when the list of its groups is damaged.
 */
export async function repairSnapshot(
  {host, level, memory, parts, ...reference}: RepairSnapshotRequest,
  service: BoxService,
  signal?: AbortSignal,
): Promise<RepairResult> {
  const {clock, report, store} = service
  const begun = clock.now()
  report({kind: 'step', step: 'open-store', state: 'started'})
  const {manifest} = await findSnapshot(reference, service, signal)
  const {groups: list} = manifest.index
  if (!list) throw without(manifest.id)
  const groups = await readGroups(store, manifest, signal)
  report({kind: 'step', step: 'open-store', state: 'done', detail: manifest.id})
  const told = {repaired: new Set<string>(), hopeless: new Map<string, string>()}
  const damaged = await onBox(
    host,
    service,
    (box) => {
      const asked = {level, parts, ...(memory === undefined ? {} : {memory})}
      const repair = new RepairRun({asked, box, groups, list, manifest, service, told})
      return repair.run(signal)
    },
    signal,
  )
  return {
    id: manifest.id,
    repaired: [...told.repaired].filter((key) => !damaged.some((one) => one.key === key)),
    hopeless: [...told.hopeless].map(([key, message]) => ({key, message})),
    damaged,
    seconds: (clock.now() - begun) / 1000,
  }
}

function without(id: string): DumontError {
  return new DumontError(
    'USAGE',
    `${id} was taken without parity: nothing of it can be made again`,
    {
      hint: 'dumont snapshot create --parity 2 stores parity; restore --salvage brings back what is whole',
    },
  )
}
