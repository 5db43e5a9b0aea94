import type {StoredManifest} from '../snapshots/manifests.js'
import type {RecordedSnapshot} from './record.js'

/** What a record keeps of a snapshot; what it already knew of the same one stays. */
export function savedOf(
  {id, manifest}: StoredManifest,
  known?: RecordedSnapshot | null,
): RecordedSnapshot {
  if (known?.id === id) return known
  const {bytes, label, lineage, sequence} = manifest
  return {
    id,
    lineage,
    label,
    sequence,
    rawBytes: bytes.raw,
    storedBytes: bytes.all,
    provenAt: null,
  }
}
