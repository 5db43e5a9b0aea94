import * as v from 'valibot'
import {DumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'

/** A record with everything it may hold is far below this. */
const LIMIT = 262_144
/** Vendors take 32 KiB. */
const VALUES = 65_536

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const money = v.pipe(v.number(), v.finite(), v.minValue(0))
const text = v.pipe(v.string(), v.maxLength(1024))
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(256))
const time = v.pipe(v.string(), v.isoTimestamp())
const snapshotId = v.pipe(v.string(), v.regex(/^\d{8}T\d{6}Z-[a-z2-7]{6}$/))

const market = v.variant('kind', [
  v.strictObject({kind: v.literal('on-demand')}),
  v.strictObject({kind: v.literal('spot'), bid: money}),
])

// What may be known of a box: nothing else ever gets into a store that is not encrypted.
const spec = v.strictObject({
  gpuName: text,
  gpuCount: count,
  gpuMemoryMB: money,
  diskGB: money,
  memoryMB: v.exactOptional(money),
  cores: v.exactOptional(money),
  cuda: v.exactOptional(text),
  image: v.exactOptional(text),
  templateId: v.exactOptional(text),
  region: v.exactOptional(text),
  ports: v.pipe(v.array(text), v.maxLength(256)),
  envNames: v.pipe(v.array(name), v.maxLength(1024)),
  market,
})

const environment = v.pipe(
  v.record(name, v.string()),
  v.check((values) => JSON.stringify(values).length <= VALUES, 'more values than a record holds'),
)

const whose = {provider: name, account: name, id: name}

const machine = v.strictObject({
  ...whose,
  createdAt: v.nullable(count),
  machine: v.nullable(text),
  spec: v.nullable(spec),
  /** US$ an hour. */
  hourly: v.nullable(money),
  storagePerGBMonth: v.nullable(money),
  upCostPerGB: v.nullable(money),
  downCostPerGB: v.nullable(money),
  volumes: v.pipe(v.array(text), v.maxLength(64)),
})

const saved = v.strictObject({
  id: snapshotId,
  lineage: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  label: text,
  sequence: count,
  rawBytes: count,
  storedBytes: count,
  /** When a receipt was given for it; null for what was only restored from. */
  provenAt: v.nullable(time),
})

const claim = v.strictObject({
  label: name,
  owner: name,
  /** When it was written last. */
  since: time,
  deadline: time,
  provider: name,
  account: name,
  /** The contract, once it is known. */
  id: v.nullable(name),
  hourly: v.nullable(money),
  snapshot: snapshotId,
  /** Makes a line of its own: the instance it came from stays as it is. */
  fork: v.boolean(),
})

const record = v.strictObject({
  format: v.literal(1),
  sequence: count,
  at: time,
  owner: name,
  state: v.picklist([
    'claimed',
    'running',
    'protected',
    'stopped',
    'destroying',
    'destroy-unconfirmed',
    'hibernated',
    'woken',
  ]),
  instance: machine,
  snapshot: v.nullable(saved),
  /** What this instance was woken from. */
  from: v.nullable(v.strictObject({...whose, snapshot: snapshotId})),
  claims: v.pipe(v.array(claim), v.maxLength(64)),
  /** What was woken from this instance, newest last. */
  successors: v.pipe(
    v.array(v.strictObject({...whose, at: time, snapshot: snapshotId})),
    v.maxLength(256),
  ),
  /** When the DELETE was announced, by the account that saw the instance alive in that run. */
  endedAt: v.nullable(time),
  /** Paths outside the snapshot that the operator gave up by name. */
  discarded: v.pipe(v.array(text), v.maxLength(256)),
  /** Values of the environment by name; in sealed stores only. */
  values: v.exactOptional(environment),
})

/**
 * What is known of one instance: each record of its log is whole, so the last one says everything. It holds names of
 * environment values, the values themselves only where it is encrypted, and no start script, no login and no token.
 */
export type InstanceRecord = v.InferOutput<typeof record>
export type RecordState = InstanceRecord['state']
export type RecordedMachine = InstanceRecord['instance']
export type RecordedSnapshot = NonNullable<InstanceRecord['snapshot']>
export type Claim = InstanceRecord['claims'][number]

/** The bytes to store: JSON with sorted names. A RangeError for what does not belong into a record. */
export function encodeRecord(value: InstanceRecord): Uint8Array {
  const checked = v.safeParse(record, value)
  if (!checked.success) throw new RangeError(`not a record: ${issueOf(checked.issues)}`)
  const bytes = Buffer.from(`${JSON.stringify(sorted(checked.output))}\n`)
  if (bytes.length > LIMIT)
    throw new RangeError(`a record of ${bytes.length} bytes is longer than one may be`)
  return bytes
}

/** The record stored under `key`; rejects FORMAT_NEWER or INTEGRITY. */
export function parseRecord(bytes: Uint8Array, key: string): InstanceRecord {
  const value = parseJson(bytes, key)
  const format =
    typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined
  if (typeof format === 'number' && Number.isSafeInteger(format) && format > 1)
    throw new DumontError(
      'FORMAT_NEWER',
      `${untrusted(key, 200)} is of format ${format}, this dumont reads format 1`,
      {hint: 'update dumont to a release that reads it'},
    )
  const checked = v.safeParse(record, value)
  if (!checked.success) throw damaged(key, issueOf(checked.issues))
  return checked.output
}

export const RECORD_LIMIT = LIMIT
export const VALUES_LIMIT = VALUES

function parseJson(bytes: Uint8Array, key: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf8', {fatal: true}).decode(bytes))
  } catch (cause) {
    throw damaged(key, 'it is not JSON', cause)
  }
}

function damaged(key: string, why: string, cause?: unknown): DumontError {
  return new DumontError(
    'INTEGRITY',
    `${untrusted(key, 200)} is not the record of an instance: ${untrusted(why, 200)}`,
    {cause, hint: 'snapshots are not touched by this; restore one by its id'},
  )
}

function issueOf([issue]: readonly v.BaseIssue<unknown>[]): string {
  const path = issue ? v.getDotPath(issue) : undefined
  return `${path ?? 'it'}: ${issue?.message ?? 'wrong'}`
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const pairs = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1))
  return Object.fromEntries(pairs.map(([key, inner]) => [key, sorted(inner)]))
}
