import {formatBytes} from '../lib/bytes.js'
import type {Manifest} from '../lib/format/manifest.js'
import type {DifferingFile} from '../lib/snapshots/differing-files.js'

const SHOWN = 5

/** What storing differences was good for; of those an interrupted run stored nobody knows what they would take alone. */
export function describeDifferences({
  alone,
  raw,
  stored,
}: NonNullable<Manifest['bytes']['delta']>): string {
  const saved = alone > stored ? `: saved ${formatBytes(alone - stored)}` : ''
  return `${formatBytes(raw)} as differences${saved}`
}

/** Lines that name the largest files that are stored as differences, and what they differ from. */
export function describeDiffering(files: readonly DifferingFile[]): readonly string[] {
  const lines = files.slice(0, SHOWN).map(({base, path, size, stored}) => {
    const share = `${((100 * stored) / size).toFixed(0)} % of its size`
    return `differs   ${path}: ${share}, base ${base?.path ?? 'in no file any more'}`
  })
  const more = files.length - lines.length
  return more > 0 ? [...lines, `          … and ${more} more; --json names all`] : lines
}
