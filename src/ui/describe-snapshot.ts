import {formatBytes} from '../lib/bytes.js'
import {displayByteString} from '../lib/format/byte-string.js'
import type {Manifest} from '../lib/format/manifest.js'
import type {VerifyResult} from '../lib/snapshots/verify-snapshot.js'
import {untrusted} from '../lib/untrusted.js'
import {duration} from './part-window.js'
import {table} from './table.js'

const MOST_FILES = 20

/** `2026-11-23 14:02:00`, UTC. */
export function shownTime(iso: string): string {
  return iso.slice(0, 19).replace('T', ' ')
}

/** The table of `snapshot list`, newest last, as a shell user expects. */
export function describeList(manifests: readonly Manifest[]): string {
  if (manifests.length === 0) return 'no snapshots'
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

/** What keeps a snapshot from being as good as any: gaps, or a need for a GPU. */
function flaws({counts, nvidia, rules}: Manifest): readonly string[] {
  return [
    counts.torn > 0 ? `${counts.torn} torn` : '',
    counts.unreadable > 0 ? `${counts.unreadable} unreadable` : '',
    rules.skippedMounts.length > 0 ? `${rules.skippedMounts.length} mounts skipped` : '',
    nvidia === null ? '' : 'needs a GPU',
  ].filter((flaw) => flaw !== '')
}

/** The page of `snapshot show`. */
export function describeSnapshot(manifest: Manifest): string {
  const {bytes, counts, host, index, parent, rules, seconds} = manifest
  const facts: readonly (readonly [string, string])[] = [
    ['snapshot', manifest.id],
    ['label', untrusted(manifest.label, 200)],
    ['lineage', `${manifest.lineage} · number ${manifest.sequence}`],
    ['parent', parent?.id ?? 'none'],
    ['created', `${shownTime(manifest.created)} UTC`],
    ['box', untrusted(`${host.address} · ${host.os} · ${host.cpus} cores`, 200)],
    ['gpus', host.gpus.map(({name}) => untrusted(name, 80)).join(', ') || 'none'],
    ['roots', manifest.roots.map(({path}) => displayByteString(path, 200)).join(', ')],
    [
      'excluded',
      rules.excludes.map((pattern) => displayByteString(pattern, 80)).join(' ') || 'nothing',
    ],
    [
      'entries',
      `${counts.entries}: ${counts.files} files, ${counts.dirs} directories, ${counts.symlinks} links, ${counts.others} others`,
    ],
    ['size', `${formatBytes(bytes.raw)}, of which ${formatBytes(bytes.new)} new`],
    ['stored', `${formatBytes(bytes.stored)} by this snapshot, ${formatBytes(bytes.all)} in all`],
    ['codecs', codecs(bytes.codecs)],
    ['time', duration(seconds.total * 1000)],
    ['needs', manifest.decoders.join(', ') || 'no decoder'],
    ['merkle', index.merkle],
    ['flaws', flaws(manifest).join(', ') || 'none'],
  ]
  return facts.map(([name, value]) => `${name.padEnd(9)} ${value}`).join('\n')
}

function codecs(byCodec: Manifest['bytes']['codecs']): string {
  const shown = Object.entries(byCodec)
    .toSorted(([, one], [, other]) => other.raw - one.raw)
    .map(
      ([name, {raw, stored}]) =>
        `${untrusted(name, 40)} ${formatBytes(raw)} → ${formatBytes(stored)}${raw > 0 ? ` (${(stored / raw).toFixed(3)})` : ''}`,
    )
  return shown.join(', ') || 'nothing new'
}

/** The verdict of `snapshot verify`. */
export function describeVerify(result: VerifyResult): string {
  const read =
    result.level === 'listed'
      ? ''
      : ` · ${result.packsRead} read (${formatBytes(result.bytesRead)}, ${result.chunksRead} chunks)`
  const scope = `${result.id}: ${result.packs} packs listed${read} · ${duration(result.seconds * 1000)}`
  if (result.damaged.length === 0) return `${scope}\nwhole at level ${result.level}`
  const packs = result.damaged.map(
    ({key, reason}) => `  ${untrusted(key, 200)}: ${untrusted(reason, 200)}`,
  )
  const files = result.damagedFiles.slice(0, MOST_FILES).map((file) => `  ${file}`)
  const more = result.damagedFiles.length - files.length
  return [
    scope,
    `DAMAGED: ${result.damaged.length} packs`,
    ...packs,
    `${result.damagedFiles.length} files cannot come back whole:`,
    ...files,
    ...(more > 0 ? [`  … and ${more} more (--json names them all)`] : []),
  ].join('\n')
}
