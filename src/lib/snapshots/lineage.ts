import {displayByteString, fromByteString, type ByteString} from '../format/byte-string.js'
import type {RestoredRecord} from '../worker/protocol.js'
import {untrusted} from '../untrusted.js'
import {lineagesOf, type Lineage} from './lineages.js'
import type {StoredManifest} from './manifests.js'

/** What is known when a snapshot begins: the box, the paths and what the store holds. */
export interface LineageQuestion {
  readonly label: string
  /** Absolute paths as the operator gave them. */
  readonly roots: readonly string[]
  /** Identity of the box. */
  readonly box: string
  /** What this box was restored from. */
  readonly restored: readonly RestoredRecord[]
  readonly manifests: readonly StoredManifest[]
}

export interface LineageChoice {
  /** Absent: a new lineage begins. */
  readonly parent?: StoredManifest
  /** Whether chunks of the parent may be named again without being read. */
  readonly reuse: boolean
  readonly note?: string
}

/**
 * Which lineage the next snapshot continues. Only the box that wrote the newest snapshot, or one restored from exactly that
 * one, continues it; any other box behind the same name begins a lineage of its own under the same label.
 */
export function chooseLineage(question: LineageQuestion): LineageChoice {
  const labelled = lineagesOf(question.manifests).filter(({label}) => label === question.label)
  const own = labelled.find((lineage) => isOwn(lineage, question))
  if (own) return {parent: own.head, reuse: true}
  for (const {head} of labelled) {
    const record = restoredFrom(head, question)
    // Only what the restore has proven on this box may be named again.
    if (record) return {parent: head, reuse: record.complete}
  }
  return {reuse: false, ...noteOf(labelled, question)}
}

/** The label of a snapshot without `--name`: `host:port:path`. */
export function defaultLabel(address: string, roots: readonly string[]): string {
  const host = address.replace(/^[^@]*@/, '')
  return `${host}:${outermost(roots)[0] ?? ''}`
}

function isOwn({head}: Lineage, {box, roots}: LineageQuestion): boolean {
  const {host, roots: stored} = head.manifest
  return (
    host.box === box &&
    sameRoots(
      roots,
      stored.map(({given, path}) => [path, ...(given === undefined ? [] : [given])]),
    )
  )
}

function restoredFrom(
  head: StoredManifest,
  {restored, roots}: LineageQuestion,
): RestoredRecord | undefined {
  return restored.findLast(
    (record) =>
      record.lineage === head.manifest.lineage &&
      record.snapshot === head.id &&
      sameRoots(
        roots,
        record.roots.map((path) => [path]),
      ),
  )
}

/** Each path that is asked for is one of the names of one stored root, and the other way round. */
function sameRoots(asked: readonly string[], stored: readonly (readonly ByteString[])[]): boolean {
  const paths = outermost(asked)
  const names = stored.map((root) => root.map((name) => fromByteString(name).toString('latin1')))
  const matched = paths.map((path) =>
    names.findIndex((root) => root.includes(Buffer.from(path).toString('latin1'))),
  )
  return !matched.includes(-1) && new Set(matched).size === names.length
}

/** Without slashes at the end, without those that lie in another. */
function outermost(roots: readonly string[]): string[] {
  const plain = [...new Set(roots.map((root) => root.replace(/(?<=.)\/+$/, '')))]
  return plain.filter(
    (path) =>
      !plain.some(
        (other) => other !== path && path.startsWith(other === '/' ? other : `${other}/`),
      ),
  )
}

function noteOf(labelled: readonly Lineage[], question: LineageQuestion): {readonly note?: string} {
  const [other] = labelled
  const name = untrusted(question.label, 80)
  if (other) {
    const {host, roots} = other.head.manifest
    const why =
      host.box === question.box
        ? `holds other paths (${roots.map(({path}) => displayByteString(path, 80)).join(', ')})`
        : `comes from another box (${untrusted(host.address, 80)})`
    return {note: `a new lineage begins: ${other.head.id} of the same name ${name} ${why}`}
  }
  const source = question.manifests.find((head) => restoredFrom(head, question))
  if (!source) return {}
  const label = untrusted(source.manifest.label, 80)
  return {
    note: `this box was restored from ${source.id}; add --name ${label} to continue its lineage`,
  }
}
