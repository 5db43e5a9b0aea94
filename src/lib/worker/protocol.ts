import * as v from 'valibot'
import {DumontError, isDumontError, type ErrorCode} from '../errors.js'
import {untrusted} from '../untrusted.js'
import {byteString, code, count, key, lineageId, messageId, pin, snapshotId} from './wire-values.js'

/** The only version of the protocol this operator's side speaks. */
export const PROTOCOL = 1
/** Everything before this line is a login shell's noise. */
export const MARKER = 'dumont-worker 1'
/** Bytes; a longer line ends the session, in either direction. */
export const MAX_LINE = 1024 * 1024
/** Bytes of noise that are skipped while waiting for the marker. */
export const MAX_NOISE = 256 * 1024

const text = v.string()

/** What the box says of itself, as the manifest keeps it. */
export const boxFacts = v.object({
  box: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  boot: text,
  os: text,
  kernel: text,
  arch: text,
  python: text,
  cpus: count,
  memory: count,
  image: v.exactOptional(text),
  gpus: v.pipe(
    v.array(v.object({name: text, driver: text, memory: count, capability: text})),
    v.maxLength(64),
  ),
})

/** A snapshot this box was restored from; `complete` when every file of it was written and proven. */
export const restoredRecord = v.object({
  lineage: lineageId,
  snapshot: snapshotId,
  roots: v.array(byteString),
  complete: v.boolean(),
})

const hello = v.object({
  type: v.literal('hello'),
  protocol: v.number(),
  worker: text,
  host: boxFacts,
  home: byteString,
  // Decoders of GPUs have the version of what they read in their name.
  capabilities: v.pipe(
    v.array(v.pipe(v.string(), v.regex(/^[A-Za-z][\w.+-]{0,63}$/))),
    v.maxLength(64),
  ),
  restored: v.pipe(v.array(restoredRecord), v.maxLength(1000)),
})

const objectToSign = v.object({
  kind: v.picklist(['pack', 'segment', 'packs', 'parity', 'groups']),
  part: v.optional(count, 0),
  length: count,
  pin,
  key: v.exactOptional(key),
})

const packClaim = v.object({key, length: count, pin})
const part = v.strictTuple([count, count, count, count])
const amount = v.optional(count, 0)

/** Every message of the worker; unknown keys are dropped, unknown types refused. */
export const workerMessage = v.variant('type', [
  hello,
  v.object({type: v.literal('heartbeat')}),
  v.object({
    type: v.literal('sign'),
    id: messageId,
    objects: v.pipe(v.array(objectToSign), v.minLength(1), v.maxLength(1024)),
  }),
  v.object({
    type: v.literal('fetch'),
    id: messageId,
    keys: v.pipe(v.array(key), v.minLength(1), v.maxLength(1024)),
    /** Wanted as they are stored, also where they are sealed. */
    raw: v.exactOptional(v.boolean()),
  }),
  v.object({type: v.literal('settle'), id: messageId, key}),
  v.object({
    type: v.literal('earlier'),
    id: messageId,
    packs: v.pipe(v.array(packClaim), v.maxLength(1000)),
  }),
  v.object({type: v.literal('nvcomp'), id: messageId}),
  v.object({
    type: v.literal('confirm'),
    id: messageId,
    what: v.literal('delete'),
    count,
    examples: v.pipe(v.array(byteString), v.maxLength(100)),
  }),
  v.object({
    type: v.literal('progress'),
    phase: v.picklist(['scan', 'transfer', 'index', 'compare', 'write', 'metadata']),
    files: amount,
    filesTotal: amount,
    raw: amount,
    rawTotal: amount,
    stored: amount,
    transferred: amount,
    parts: v.optional(v.pipe(v.array(part), v.maxLength(1024)), () => []),
  }),
  v.object({
    type: v.literal('lost'),
    path: byteString,
    code,
    message: v.pipe(v.string(), v.maxLength(1000)),
  }),
  v.object({
    type: v.literal('checked'),
    pack: count,
    reason: v.nullable(v.pipe(v.string(), v.maxLength(500))),
    chunks: v.nullable(v.pipe(v.array(count), v.maxLength(5000))),
    bases: v.pipe(v.array(count), v.maxLength(5000)),
  }),
  v.object({type: v.literal('repaired'), key, length: count}),
  v.object({
    type: v.literal('hopeless'),
    key,
    message: v.pipe(v.string(), v.maxLength(1000)),
  }),
  v.object({
    type: v.literal('warning'),
    code,
    path: v.exactOptional(byteString),
    message: v.exactOptional(text),
    count: v.exactOptional(count),
  }),
  v.looseObject({type: v.literal('result'), to: messageId}),
  v.object({
    type: v.literal('error'),
    to: v.nullish(messageId),
    code: text,
    message: text,
    hint: v.nullish(text),
    /** Whether the same command may succeed later. */
    retry: v.nullish(v.boolean()),
  }),
])

export type WorkerMessage = v.InferOutput<typeof workerMessage>
export type Hello = v.InferOutput<typeof hello>
export type BoxFacts = v.InferOutput<typeof boxFacts>
export type RestoredRecord = v.InferOutput<typeof restoredRecord>
export type ObjectToSign = v.InferOutput<typeof objectToSign>
export type PackClaim = v.InferOutput<typeof packClaim>
export type MessageOf<T extends WorkerMessage['type']> = Extract<WorkerMessage, {type: T}>
export type WorkerProgress = MessageOf<'progress'>
/** What a pack was found to be; `chunks`: those that are damaged, null for all of the pack. */
export type CheckedPack = MessageOf<'checked'>
/** An object that a repair has made again, and one that it cannot make. */
export type RepairedObject = MessageOf<'repaired'>
export type HopelessObject = MessageOf<'hopeless'>
/** An entry that a salvaging restore could not bring back. */
export type LostEntry = MessageOf<'lost'>
export type WorkerWarning = MessageOf<'warning'>

/** Reads one line of the worker; rejects (WORKER) what the protocol does not know. */
export function parseWorkerMessage(line: string): WorkerMessage {
  return check(workerMessage, jsonOf(line), 'a message')
}

/** Checks a value of the worker against its schema; WORKER with the first thing wrong. */
export function check<T extends v.GenericSchema>(
  schema: T,
  value: unknown,
  what: string,
): v.InferOutput<T> {
  const result = v.safeParse(schema, value, {abortEarly: true})
  if (result.success) return result.output
  const [issue] = result.issues
  const place = v.getDotPath(issue)
  throw offProtocol(`${what} of an unknown form${place ? ` at ${place}` : ''}: ${issue.message}`)
}

/** The worker does what its protocol forbids: damaged, of another version, or hostile. */
export function offProtocol(what: string): DumontError {
  return new DumontError('WORKER', `the worker sent ${untrusted(what)}`, {
    hint: 'run the command again; if it happens again, the box is damaged or another program answers in the worker’s place',
  })
}

/** What the worker reports as its failure, with its text made harmless; an unknown code is WORKER. */
export function failureOf({code: name, message, hint, retry}: MessageOf<'error'>): DumontError {
  // Nobody on this side interrupted it, or nobody would read this: it has not heard us for too long.
  if (name === 'INTERRUPTED')
    return new DumontError('UNREACHABLE', 'the worker gave up: it had not heard this machine', {
      hint: 'was this machine asleep? run the command again: it continues',
      retry: 'later',
    })
  const probe = {name: 'DumontError', code: name}
  const known: ErrorCode = isDumontError(probe) ? probe.code : 'WORKER'
  return new DumontError(known, untrusted(message), {
    ...(hint ? {hint: untrusted(hint)} : {}),
    ...(retry ? {retry: 'later'} : {}),
  })
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    throw offProtocol(`a line that is not JSON: ${line.slice(0, 200)}`)
  }
}
