import {formatBytes} from '../lib/bytes.js'
import type {Manifest} from '../lib/format/manifest.js'
import type {SnapshotList} from '../lib/snapshots/list-snapshots.js'
import {untrusted} from '../lib/untrusted.js'
import {flaws} from './describe-snapshot.js'
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

/** The table of `snapshot list`, newest last, as a shell user expects; nothing for none. */
export function describeList(manifests: readonly Manifest[]): string {
  if (manifests.length === 0) return ''
  const columns = [
    {title: 'ID'},
    {title: 'LABEL'},
    {align: 'right', title: 'FILES'},
    {align: 'right', title: 'SIZE'},
    {align: 'right', title: 'NEW'},
    {align: 'right', title: 'STORED'},
    {title: 'NOTES'},
  ] as const
  return table(
    columns,
    manifests.map((manifest) => [
      manifest.id,
      untrusted(manifest.label, 40),
      String(manifest.counts.files),
      formatBytes(manifest.bytes.raw),
      formatBytes(manifest.bytes.new),
      formatBytes(manifest.bytes.stored),
      flaws(manifest).join(', '),
    ]),
  )
}
