import * as v from 'valibot'
import {DumontError} from '../errors.js'
import {MAX_LINE} from './protocol.js'
import {root} from './results.js'
import {
  byteString,
  bytesOf,
  code,
  count,
  digestedObject,
  key,
  lineageId,
  messageId,
  snapshotId,
} from './wire-values.js'

/** What a box seals the objects of one run with; the secret is never told to anybody else. */
const runSeal = v.object({header: bytesOf(64), secret: bytesOf(32)})
/** What opens one object. */
const objectSeal = v.object({header: bytesOf(128), secret: bytesOf(32)})

const parent = v.object({
  id: snapshotId,
  /** Paths of its roots on the box. */
  roots: v.exactOptional(v.array(byteString)),
  segments: v.array(digestedObject),
  packs: digestedObject,
  /** Whether its chunks may be named again. */
  reuse: v.boolean(),
  unusable: v.array(key),
  /** Whether its ANS chunks may be named again; absent: they may. */
  ans: v.exactOptional(v.boolean()),
  /** Its list of groups, if they are to be kept. */
  groups: v.exactOptional(digestedObject),
})

const createRequest = v.object({
  type: v.literal('create'),
  snapshot: snapshotId,
  repository: lineageId,
  lineage: lineageId,
  roots: v.array(byteString),
  excludes: v.array(v.string()),
  excludeCaches: v.boolean(),
  crossMounts: v.boolean(),
  protect: v.array(byteString),
  parts: count,
  /** Bytes; a hard ceiling of all worker processes. */
  memory: count,
  codec: v.string(),
  level: v.number(),
  /** Whether chunks may be stored as differences from others. */
  delta: v.boolean(),
  /** Whether files that look unchanged are read all the same. */
  reread: v.boolean(),
  pin: v.picklist(['crc32', 'md5']),
  dryRun: v.boolean(),
  seal: v.exactOptional(v.nullable(runSeal)),
  parent: v.nullable(parent),
  /** Parity objects for each group of what is stored; absent: none. */
  parity: v.exactOptional(count),
})

const restoreRequest = v.object({
  type: v.literal('restore'),
  snapshot: snapshotId,
  lineage: lineageId,
  roots: v.array(root),
  segments: v.array(digestedObject),
  packs: digestedObject,
  target: v.nullable(byteString),
  include: v.array(v.string()),
  overwrite: v.picklist(['always', 'if-changed', 'never']),
  delete: v.boolean(),
  rules: v.looseObject({}),
  devices: v.boolean(),
  includeAccessFiles: v.boolean(),
  privileges: v.boolean(),
  parts: count,
  memory: count,
  dryRun: v.boolean(),
  /** Whether what is damaged of the index costs only what it described. */
  salvage: v.boolean(),
  /** Its list of groups. */
  groups: v.exactOptional(digestedObject),
})

const repairRequest = v.object({
  type: v.literal('repair'),
  snapshot: snapshotId,
  segments: v.array(digestedObject),
  packs: digestedObject,
  groups: digestedObject,
  /** Members and parity objects that are to be made again. */
  lost: v.array(key),
  parts: count,
  memory: count,
})

const transcodeRequest = v.object({
  type: v.literal('transcode'),
  snapshot: snapshotId,
  source: v.object({id: snapshotId, segments: v.array(digestedObject), packs: digestedObject}),
  parts: count,
  memory: count,
  level: v.number(),
  pin: v.picklist(['crc32', 'md5']),
  seal: v.exactOptional(v.nullable(runSeal)),
})

const verifyRequest = v.object({
  type: v.literal('verify'),
  snapshot: snapshotId,
  segments: v.array(digestedObject),
  packs: digestedObject,
  /** First and last numbers of the packs to read. */
  ranges: v.array(v.tuple([count, count])),
  /** Whether every chunk is decoded; else only hashed as it is stored. */
  decode: v.boolean(),
  parts: count,
  memory: count,
})

const signedRequest = v.object({
  key,
  url: v.string(),
  headers: v.record(v.string(), v.string()),
  /** Of what is read; in a sealed store. */
  seal: v.exactOptional(objectSeal),
})

const rateRequest = v.object({
  type: v.literal('rate'),
  /** What the content is made of. */
  seed: lineageId,
  /** Bytes of each object. */
  length: count,
  puts: v.array(signedRequest),
  gets: v.array(signedRequest),
})

const reply = v.object({
  type: v.literal('reply'),
  to: messageId,
  urls: v.exactOptional(v.array(signedRequest)),
  stored: v.exactOptional(v.boolean()),
  accepted: v.exactOptional(v.array(key)),
  nvcomp: v.exactOptional(v.nullable(v.string())),
  yes: v.exactOptional(v.boolean()),
  error: v.exactOptional(v.object({code, message: v.string()})),
})

const withId = {id: messageId}

/** Every message of the operator's side, as the fixtures have them. */
export const operatorMessage = v.variant('type', [
  v.object({...createRequest.entries, ...withId}),
  v.object({...restoreRequest.entries, ...withId}),
  v.object({...repairRequest.entries, ...withId}),
  v.object({...transcodeRequest.entries, ...withId}),
  v.object({...verifyRequest.entries, ...withId}),
  v.object({...rateRequest.entries, ...withId}),
  reply,
  v.object({type: v.literal('heartbeat')}),
  v.object({type: v.literal('cancel')}),
])

export type OperatorMessage = v.InferOutput<typeof operatorMessage>
/** A create as its caller states it; the conversation adds the id. */
export type CreateRequest = v.InferOutput<typeof createRequest>
export type ParentRequest = v.InferOutput<typeof parent>
/** A restore as its caller states it; the conversation adds the id. */
export type RestoreRequest = v.InferOutput<typeof restoreRequest>
/** A repair as its caller states it; the conversation adds the id. */
export type RepairRequest = v.InferOutput<typeof repairRequest>
/** A transcode as its caller states it; the conversation adds the id. */
export type TranscodeRequest = v.InferOutput<typeof transcodeRequest>
/** A verify as its caller states it; the conversation adds the id. */
export type VerifyRequest = v.InferOutput<typeof verifyRequest>
/** A rate as its caller states it; the conversation adds the id. */
export type RateRequest = v.InferOutput<typeof rateRequest>
/** Whatever a worker can be asked to do. */
export type WorkRequest =
  CreateRequest | RateRequest | RepairRequest | RestoreRequest | TranscodeRequest | VerifyRequest
export type Reply = v.InferOutput<typeof reply>
export type GrantedUrl = v.InferOutput<typeof signedRequest>

/** A seal as the worker reads it. */
export function sealForBox({
  header,
  secret,
}: {
  readonly header: Uint8Array
  readonly secret: Uint8Array
}): {header: string; secret: string} {
  return {header: base64(header), secret: base64(secret)}
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

/** One line for the worker; USAGE when it would be longer than the protocol allows. */
export function encodeMessage(message: OperatorMessage): string {
  const line = `${JSON.stringify(message)}\n`
  if (Buffer.byteLength(line) <= MAX_LINE) return line
  throw new DumontError(
    'USAGE',
    `a ${message.type} message of ${Buffer.byteLength(line)} bytes is too long`,
    {
      hint: 'give fewer or shorter paths and patterns',
    },
  )
}
