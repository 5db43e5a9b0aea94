import {DumontError} from '../errors.js'
import {snapshotTime} from '../format/snapshot-id.js'
import {untrusted} from '../untrusted.js'
import {lineagesOf, type Lineage} from './lineages.js'
import type {StoredManifest, Survey, UnreadableManifest} from './manifests.js'

const SHOWN = 10
const SEE = 'see `dumont snapshot list`'

/**
 * The snapshot that an operator means by a unique beginning of its id, `latest` or `latest:<label>` (or the beginning of a
 * lineage's id). SNAPSHOT_UNKNOWN, or the error that makes the meant one unreadable.
 */
export function resolveSnapshot(survey: Survey, reference: string, label?: string): StoredManifest {
  const latest = /^latest(?::(?<label>.+))?$/s.exec(reference)
  if (latest) return newest(survey, latest.groups?.['label'] ?? label)
  const matches = matching(survey, reference)
  const [match] = matches
  if (!match || reference === '') throw unknown(reference)
  if (matches.length > 1) throw ambiguous(reference, matches)
  if ('error' in match) throw match.error
  return match
}

/** As above, but an unreadable snapshot is an answer too: it can still be deleted. */
export function resolveAny(survey: Survey, reference: string): StoredManifest | UnreadableManifest {
  const [match, ...others] = matching(survey, reference)
  if (match && others.length === 0 && 'error' in match) return match
  return resolveSnapshot(survey, reference)
}

function matching(
  {readable, unreadable}: Survey,
  reference: string,
): (StoredManifest | UnreadableManifest)[] {
  const all = [...readable, ...unreadable]
  const exact = all.find(({id}) => id === reference)
  return exact ? [exact] : all.filter(({id}) => id.startsWith(reference))
}

function newest(survey: Survey, wanted: string | undefined): StoredManifest {
  const lineages = lineagesOf(survey.readable)
  const candidates = wanted === undefined ? lineages : named(lineages, wanted)
  const [lineage] = candidates
  if (!lineage) {
    const [broken] = survey.unreadable
    if (broken) throw broken.error
    throw nothing(wanted, lineages)
  }
  if (candidates.length > 1) throw severalLineages(candidates)
  refuseNewerUnreadable(survey.unreadable, lineage.head)
  return lineage.head
}

function named(lineages: readonly Lineage[], wanted: string): Lineage[] {
  const labelled = lineages.filter(({label}) => label === wanted)
  if (labelled.length > 0) return labelled
  return /^[0-9a-f]{8,32}$/.test(wanted) ? lineages.filter(({id}) => id.startsWith(wanted)) : []
}

/** What cannot be read might be the newest: an older state must then be asked for by its id. */
function refuseNewerUnreadable(
  unreadable: readonly UnreadableManifest[],
  head: StoredManifest,
): void {
  const headTime = snapshotTime(head.id)?.getTime() ?? 0
  const newer = unreadable.find(({id}) => (snapshotTime(id)?.getTime() ?? Infinity) >= headTime)
  if (!newer) return
  throw new DumontError(
    newer.error.code,
    `which snapshot is the latest cannot be said: ${newer.error.message}`,
    {
      cause: newer.error,
      hint: `name the one you want, for example ${head.id}`,
    },
  )
}

function unknown(reference: string): DumontError {
  return new DumontError(
    'SNAPSHOT_UNKNOWN',
    `there is no snapshot ${untrusted(reference, 80)} in this store`,
    {hint: SEE},
  )
}

function ambiguous(reference: string, matches: readonly {readonly id: string}[]): DumontError {
  const message = `${untrusted(reference, 80)} is the beginning of ${listed(matches.map(({id}) => untrusted(id, 80)))}`
  return new DumontError('SNAPSHOT_UNKNOWN', message, {hint: 'give more of the id'})
}

function nothing(wanted: string | undefined, lineages: readonly Lineage[]): DumontError {
  if (wanted === undefined || lineages.length === 0)
    return new DumontError('SNAPSHOT_UNKNOWN', 'this store holds no snapshot', {
      hint: 'take one with `dumont snapshot create`, or name another store with --store',
    })
  return new DumontError('SNAPSHOT_UNKNOWN', `no snapshot is labelled ${untrusted(wanted, 80)}`, {
    hint: `there are ${listed(lineages.map(described))}; ${SEE}`,
  })
}

function severalLineages(lineages: readonly Lineage[]): DumontError {
  return new DumontError(
    'SNAPSHOT_UNKNOWN',
    `which latest? This store holds ${listed(lineages.map(described))}`,
    {hint: `say latest:<label>, latest:<lineage> or the snapshot’s id; ${SEE}`},
  )
}

function described({head, id, label}: Lineage): string {
  return `${untrusted(label, 80)} (lineage ${id.slice(0, 8)}, latest ${head.id})`
}

function listed(names: readonly string[]): string {
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : ''
  return `${names.slice(0, SHOWN).join(', ')}${more}`
}
