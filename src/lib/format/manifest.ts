import * as v from 'valibot'
import {DumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'
import {damaged, newer} from './integrity.js'

/** A writer keeps to the smaller bound, so that later releases have room. */
const WRITE_LIMIT = 8192
const READ_LIMIT = 65_536

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const seconds = v.pipe(v.number(), v.finite(), v.minValue(0))
const text = v.pipe(v.string(), v.maxLength(4096))
const hex = (length: number) => v.pipe(v.string(), v.regex(/^[0-9a-f]+$/), v.length(length))
const snapshotId = v.pipe(v.string(), v.regex(/^\d{8}T\d{6}Z-[a-z2-7]{6}$/))
const byteString = v.union([v.string(), v.object({b64: v.pipe(v.string(), v.base64())})])
const seal = v.pipe(v.string(), v.base64(), v.length(96))
const object = v.object({
  key: text,
  length: count,
  sha256: hex(64),
  seal: v.exactOptional(seal),
})

/** A word of letters, digits and a few marks, at most 64 of them. */
const tag = v.pipe(v.string(), v.regex(/^[\p{L}\p{N}][\p{L}\p{N}._:@+=-]{0,63}$/u))

const gpu = v.object({name: text, driver: text, memory: count, capability: text})

/** What decodes ANS chunks: `name` is the decoder's, which workers offer; wheels are hashes of SHA-256. */
const library = v.object({
  name: text,
  distribution: text,
  version: text,
  cuda: v.exactOptional(count),
  wheels: v.pipe(v.array(hex(64)), v.maxLength(8)),
})

const manifest = v.object({
  format: v.literal(1),
  id: snapshotId,
  lineage: hex(32),
  label: text,
  // What its maker calls it; none where nobody said.
  tags: v.exactOptional(v.pipe(v.array(tag), v.minLength(1), v.maxLength(16))),
  sequence: v.pipe(count, v.minValue(1)),
  parent: v.nullable(v.object({id: snapshotId, sha256: hex(64)})),
  created: v.pipe(v.string(), v.isoTimestamp()),
  // Manifests of earlier releases lack it.
  readSince: v.exactOptional(v.pipe(v.string(), v.isoTimestamp())),
  host: v.object({
    address: text,
    box: hex(64),
    boot: text,
    os: text,
    kernel: text,
    arch: text,
    python: text,
    cpus: count,
    memory: count,
    image: v.exactOptional(text),
    gpus: v.array(gpu),
  }),
  roots: v.pipe(
    v.array(
      v.object({
        path: byteString,
        given: v.exactOptional(byteString),
        type: v.picklist(['dir', 'file']),
      }),
    ),
    v.minLength(1),
  ),
  rules: v.object({
    excludes: v.array(byteString),
    excludeCaches: v.boolean(),
    crossMounts: v.boolean(),
    skippedMounts: v.array(byteString),
  }),
  counts: v.object({
    entries: count,
    files: count,
    dirs: count,
    symlinks: count,
    others: count,
    torn: count,
    unreadable: count,
  }),
  bytes: v.object({
    raw: count,
    new: count,
    stored: count,
    all: count,
    codecs: v.record(text, v.object({raw: count, stored: count})),
    // Manifests of releases that made no differences lack it.
    delta: v.exactOptional(v.object({raw: count, stored: count, alone: count})),
    // Of parity objects; absent where none was written.
    parity: v.exactOptional(count),
  }),
  seconds: v.object({scan: seconds, transfer: seconds, total: seconds}),
  index: v.object({
    segments: v.pipe(v.array(object), v.minLength(1)),
    packs: object,
    // Absent in snapshots without parity.
    groups: v.exactOptional(object),
    entries: count,
    chunks: count,
    merkle: hex(64),
  }),
  decoders: v.array(text),
  nvidia: v.nullable(
    v.object({libraries: v.pipe(v.array(library), v.minLength(1), v.maxLength(16))}),
  ),
  warnings: v.object({
    count,
    first: v.array(v.object({code: text, path: byteString, message: text})),
  }),
  versions: v.record(text, text),
})

/** What a snapshot is, as its manifest says; `docs/format.md` section 6 gives the meaning of each field. */
export type Manifest = v.InferOutput<typeof manifest>

export function isTag(word: string): boolean {
  return v.is(tag, word)
}

export function manifestKey(id: string): string {
  return `snapshots/${id}.json`
}

/**
 * The bytes to store; throws a RangeError for a manifest that is wrong, longer than 8 KiB apart from its list of
 * segments, or longer than 64 KiB with it.
 */
export function encodeManifest(value: Manifest): Uint8Array {
  const checked = v.safeParse(manifest, value)
  if (!checked.success) throw new RangeError(`not a manifest: ${firstIssue(checked.issues)}`)
  const problem = mismatch(checked.output)
  if (problem) throw new RangeError(`not a manifest: ${problem}`)
  const bytes = Buffer.from(JSON.stringify(checked.output), 'utf8')
  const segments = JSON.stringify(value.index.segments).length
  if (bytes.length > READ_LIMIT || bytes.length - segments > WRITE_LIMIT)
    throw new RangeError(`a manifest of ${bytes.length} bytes is too long`)
  return bytes
}

/** The manifest stored under `key`; rejects FORMAT_NEWER or INTEGRITY. */
export function parseManifest(bytes: Uint8Array, key: string): Manifest {
  if (bytes.length > READ_LIMIT) throw damaged(`${key} is longer than a manifest may be`)
  const value = parseJson(bytes, key)
  const format =
    typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined
  if (typeof format === 'number' && Number.isSafeInteger(format) && format > 1)
    throw newer(key, format)
  const checked = v.safeParse(manifest, value)
  if (!checked.success) throw damaged(`${key} is not a manifest: ${firstIssue(checked.issues)}`)
  const problem =
    manifestKey(checked.output.id) === key
      ? mismatch(checked.output)
      : 'it names another snapshot than its key'
  if (problem) throw damaged(`${key} is not a manifest: ${problem}`)
  return checked.output
}

function parseJson(bytes: Uint8Array, key: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf8', {fatal: true, ignoreBOM: true}).decode(bytes))
  } catch (error) {
    throw new DumontError('INTEGRITY', `${key} is damaged: it is not JSON`, {cause: error})
  }
}

/** What the schema cannot say: a manifest names only its own index, in order. */
function mismatch({id, index, sequence, parent}: Manifest): string | undefined {
  if (index.packs.key !== `index/${id}/packs`) return "the list of packs is not this snapshot's"
  if (index.segments.some(({key}, n) => key !== `index/${id}/${n}`))
    return "an index segment is not this snapshot's, or out of order"
  if (index.groups && index.groups.key !== `index/${id}/groups`)
    return "the list of groups is not this snapshot's"
  if (parent && (sequence === 1 || parent.id === id)) return 'its parent cannot be what it says'
  return undefined
}

function firstIssue(issues: readonly v.BaseIssue<unknown>[]): string {
  const [issue] = issues
  if (!issue) return 'unknown'
  return untrusted(`${v.getDotPath(issue) ?? 'it'}: ${issue.message}`, 300)
}
