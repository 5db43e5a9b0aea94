import {formatBytes} from '../lib/bytes.js'
import {displayByteString} from '../lib/format/byte-string.js'
import type {Manifest} from '../lib/format/manifest.js'
import type {LargeFile} from '../lib/snapshots/show-snapshot.js'
import {untrusted} from '../lib/untrusted.js'
import {describeDifferences} from './describe-differences.js'
import {duration} from './part-window.js'

/** `2026-11-23 14:02:00`, UTC. */
export function shownTime(iso: string): string {
  return iso.slice(0, 19).replace('T', ' ')
}

/** What keeps a snapshot from being as good as any: gaps, or a need for a GPU. */
export function flaws({counts, nvidia, rules}: Manifest): readonly string[] {
  return [
    counts.torn > 0 ? `${counts.torn} torn` : '',
    counts.unreadable > 0 ? `${counts.unreadable} unreadable` : '',
    rules.skippedMounts.length > 0 ? `${rules.skippedMounts.length} mounts skipped` : '',
    nvidia === null ? '' : 'needs a GPU',
  ].filter((flaw) => flaw !== '')
}

export function shownTags({tags = []}: Manifest): readonly string[] {
  return tags.map((tag) => untrusted(tag, 64))
}

/** The page of `snapshot show`. */
export function describeSnapshot(manifest: Manifest): string {
  const {bytes, counts, host, index, parent, rules, seconds} = manifest
  const facts: readonly (readonly [string, string])[] = [
    ['snapshot', manifest.id],
    ['label', untrusted(manifest.label, 200)],
    ...(manifest.tags ? [['tags', shownTags(manifest).join(', ')] as const] : []),
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
    ...(bytes.delta ? [['delta', describeDifferences(bytes.delta)] as const] : []),
    ...(index.groups ? [['parity', parity(manifest)] as const] : []),
    ['time', duration(seconds.total * 1000)],
    ['needs', needs(manifest)],
    ['merkle', index.merkle],
    ['flaws', flaws(manifest).join(', ') || 'none'],
  ]
  return facts.map(([name, value]) => `${name.padEnd(9)} ${value}`).join('\n')
}

function parity({bytes}: Manifest): string {
  return `yes; ${formatBytes(bytes.parity ?? 0)} of it written by this snapshot`
}

function needs({decoders, nvidia}: Manifest): string {
  const named = untrusted(decoders.join(', '), 200) || 'no decoder'
  if (nvidia === null) return named
  const versions = nvidia.libraries.map(({version}) => untrusted(version, 40))
  return `${named}; an NVIDIA GPU with nvCOMP ${versions.join(' and ')}`
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

/** Lines that name the largest files. */
export function describeLargest(files: readonly LargeFile[]): readonly string[] {
  return files.map(({path, size}) => `${formatBytes(size).padStart(9)} ${path}`)
}
