import {formatBytes} from '../lib/bytes.js'
import type {Manifest} from '../lib/format/manifest.js'
import type {SnapshotList} from '../lib/snapshots/list-snapshots.js'
import {untrusted} from '../lib/untrusted.js'
import {flaws, shownTags} from './describe-snapshot.js'
import {table} from './table.js'

/** What `snapshot list --json` answers: every manifest as it is stored. */
export interface ListAnswer {
  readonly snapshots: readonly Manifest[]
  readonly unreadable: readonly {
    readonly id: string
    readonly code: string
    readonly message: string
  }[]
}

export function listAnswer({snapshots, unreadable}: SnapshotList): ListAnswer {
  return {
    snapshots: snapshots.map(({manifest}) => manifest),
    unreadable: unreadable.map(({error, id}) => ({code: error.code, id, message: error.message})),
  }
}

/** Warnings for those whose manifest cannot be used. */
export function describeUnreadable({unreadable}: SnapshotList): readonly string[] {
  return unreadable.map(({error, id}) => `warning: ${untrusted(id, 60)}: ${error.message}`)
}

/** Columns of a table line that are not the label's, and how wide a label may be at least and at most. */
const BESIDE_LABEL = 60
const LEAST_LABEL = 12
const MOST_LABEL = 40

/** What parity takes of the store, as far as this snapshot wrote it. */
function parityOf({bytes, index}: Manifest): readonly string[] {
  return index.groups ? [`parity ${formatBytes(bytes.parity ?? 0)}`] : []
}

/**
 * The table of `snapshot list`, newest last, as a shell user expects; nothing for none. On a terminal labels are cut so that
 * a line fits.
 */
export function describeList(manifests: readonly Manifest[], columns = Infinity): string {
  if (manifests.length === 0) return ''
  const width = Math.max(LEAST_LABEL, Math.min(MOST_LABEL, columns - BESIDE_LABEL))
  const notes = manifests.map((manifest) =>
    [...shownTags(manifest), ...flaws(manifest), ...parityOf(manifest)].join(', '),
  )
  const shown = [
    {title: 'ID'},
    {title: 'LABEL'},
    {align: 'right', title: 'FILES'},
    {align: 'right', title: 'SIZE'},
    {align: 'right', title: 'NEW'},
    {align: 'right', title: 'STORED'},
    ...(notes.every((note) => note === '') ? [] : [{title: 'NOTES'}]),
  ] as const
  return table(
    shown,
    manifests.map((manifest, index) => [
      manifest.id,
      untrusted(manifest.label, width),
      String(manifest.counts.files),
      formatBytes(manifest.bytes.raw),
      formatBytes(manifest.bytes.new),
      formatBytes(manifest.bytes.stored),
      notes[index] ?? '',
    ]),
  )
}
