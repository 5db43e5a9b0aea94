import type {StoredManifest} from './manifests.js'

/** The snapshots of one lineage, oldest first. */
export interface Lineage {
  readonly id: string
  /** That of its newest snapshot. */
  readonly label: string
  readonly snapshots: readonly StoredManifest[]
  readonly head: StoredManifest
}

/** Groups manifests; lineages with the newest head first. */
export function lineagesOf(manifests: readonly StoredManifest[]): Lineage[] {
  const groups = new Map<string, StoredManifest[]>()
  for (const stored of manifests) {
    const group = groups.get(stored.manifest.lineage) ?? []
    group.push(stored)
    groups.set(stored.manifest.lineage, group)
  }
  const lineages = Array.from(groups, ([id, group]) => {
    const snapshots = group.toSorted(byAge)
    const head = snapshots.at(-1) as StoredManifest
    return {id, label: head.manifest.label, snapshots, head}
  })
  return lineages.toSorted((one, other) =>
    compare(other.head.manifest.created, one.head.manifest.created),
  )
}

/** Order within a lineage: the sequence number, then the store's clock; never a local clock. */
export function byAge(one: StoredManifest, other: StoredManifest): number {
  return (
    one.manifest.sequence - other.manifest.sequence ||
    compare(one.manifest.created, other.manifest.created) ||
    compare(one.id, other.id)
  )
}

function compare(one: string, other: string): number {
  if (one === other) return 0
  return one < other ? -1 : 1
}
