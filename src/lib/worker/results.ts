import * as v from 'valibot'
import {byCode, byteString, code, count, digestedObject, seconds, sha256} from './wire-values.js'

const message = v.pipe(v.string(), v.maxLength(65_536))

/** Entries by sort; the recount by the operator's machine must give the same. */
export const counts = v.object({
  entries: count,
  files: count,
  dirs: count,
  symlinks: count,
  others: count,
  torn: count,
  unreadable: count,
})

// A dry run stores nothing and leaves the rest out.
const orNone = v.optional(count, 0)

export const bytes = v.object({
  raw: count,
  new: orNone,
  stored: orNone,
  all: orNone,
  codecs: v.optional(
    v.record(
      v.pipe(v.string(), v.regex(/^[a-z0-9_+/-]{1,64}$/)),
      v.object({raw: count, stored: count}),
    ),
    () => ({}),
  ),
  delta: v.exactOptional(v.object({raw: count, stored: count, alone: count})),
  parity: v.exactOptional(count),
})

/** What the worker says it stored as index; the operator's machine reads it back before it believes a word. */
export const indexClaim = v.object({
  segments: v.pipe(v.array(digestedObject), v.maxLength(100_000)),
  packs: digestedObject,
  groups: v.exactOptional(digestedObject),
  entries: count,
  chunks: count,
  merkle: sha256,
})

export const root = v.object({
  path: byteString,
  given: v.exactOptional(byteString),
  type: v.picklist(['dir', 'file']),
})

export const createResult = v.object({
  roots: v.pipe(v.array(root), v.maxLength(1000)),
  counts,
  bytes,
  seconds: v.object({scan: seconds, transfer: v.optional(seconds, 0), total: seconds}),
  skippedMounts: v.array(byteString),
  index: v.exactOptional(indexClaim),
  decoders: v.optional(v.pipe(v.array(code), v.maxLength(64)), () => []),
  warnings: byCode,
  notes: byCode,
  leftOut: v.optional(v.record(code, v.object({count, bytes: count})), () => ({})),
  reusedPacks: orNone,
  /** What decodes the ANS chunks that this run, or an interrupted one, stored. */
  nvidia: v.exactOptional(
    v.object({
      name: v.pipe(v.string(), v.regex(/^nvcomp-ans-[\w.+-]{1,40}$/)),
      distribution: v.pipe(v.string(), v.regex(/^[\w.-]{1,60}$/)),
      version: v.pipe(v.string(), v.regex(/^[\w.+-]{1,40}$/)),
      cuda: v.exactOptional(count),
    }),
  ),
  sample: v.exactOptional(
    v.pipe(
      v.array(
        v.object({codec: code, raw: count, stored: count, seconds, lanes: v.optional(count, 1)}),
      ),
      v.maxLength(16),
    ),
  ),
  /** What `auto` took, or would take, and why. */
  choice: v.exactOptional(v.object({codec: code, why: v.pipe(v.string(), v.maxLength(1000))})),
  /** Dry run: bytes a second that the latest create saw. */
  uplink: v.exactOptional(count),
})

export const transcodeResult = v.object({
  bytes: v.object({new: count, stored: count, all: count}),
  decoders: v.pipe(v.array(code), v.maxLength(64)),
  index: indexClaim,
  seconds,
})

/** How many objects were made again and sent, how many cannot be, and the bytes of the first. */
export const repairResult = v.object({repaired: count, hopeless: count, bytes: count, seconds})

/** Bytes of packs, and `besides` those of others that their chunks differ from. */
export const verifyResult = v.object({packs: count, bytes: count, besides: count, seconds})

/** Bytes a second; `down` is null where sending was too slow to try. */
export const rateResult = v.object({up: count, down: v.nullable(count)})

export const restoreResult = v.object({
  counts: v.record(code, count),
  bytes: v.object({raw: count, fetched: count, written: count}),
  same: count,
  written: count,
  deleted: count,
  failed: count,
  /** Of those that failed: what the store does not hold as it was saved. */
  damaged: orNone,
  failures: v.pipe(v.array(v.object({path: byteString, code, message})), v.maxLength(100)),
  seconds: v.union([seconds, v.record(code, seconds)]),
  warnings: byCode,
  notes: byCode,
})

export type Counts = v.InferOutput<typeof counts>
export type Bytes = v.InferOutput<typeof bytes>
export type IndexClaim = v.InferOutput<typeof indexClaim>
export type CreateResult = v.InferOutput<typeof createResult>
export type RateResult = v.InferOutput<typeof rateResult>
export type RepairResult = v.InferOutput<typeof repairResult>
export type VerifyResult = v.InferOutput<typeof verifyResult>
export type TranscodeResult = v.InferOutput<typeof transcodeResult>
export type RestoreResult = v.InferOutput<typeof restoreResult>
