import * as v from 'valibot'
import {DumontError, isDumontError} from '../errors.js'
import {createSettled} from '../store/settle.js'
import type {Store} from '../store/store.js'
import {mapBounded} from './map-bounded.js'

/** How long marked objects stay: a create that saw none of the mark has long committed by then. */
export const GRACE_MS = 3_600_000
/** Keys in one mark, so that it stays a small object. */
const KEYS_A_MARK = 10_000
const LIMIT = 16 * 1024 * 1024

// Nothing but packs, parity and indexes is ever removed this way, whoever wrote the mark.
const REMOVABLE = /^(?:packs|parity|index)\/[A-Za-z0-9-]+\/[A-Za-z0-9-]+$/
const removable = v.pipe(v.string(), v.regex(REMOVABLE))
const mark = v.object({
  format: v.literal(1),
  created: v.pipe(v.string(), v.isoTimestamp()),
  keys: v.array(removable),
})

/** Whether a key can be that of a pack, of parity or of an index: only those are ever marked. */
export function isRemovable(key: string): boolean {
  return REMOVABLE.test(key)
}

/** A list of objects that nobody needed when it was written. */
export interface Mark {
  readonly key: string
  /** Milliseconds by the store's clock; the later of what it says and when it was stored. */
  readonly since: number
  readonly keys: readonly string[]
}

export interface Marks {
  readonly marks: readonly Mark[]
  /** Marks that are not of the known form; nobody acts on them. */
  readonly damaged: readonly string[]
}

/** Reads all marks; FORMAT_NEWER when a later release may remove what we cannot see. */
export async function readMarks(store: Store, signal?: AbortSignal): Promise<Marks> {
  const listed: {readonly key: string; readonly modified: number}[] = []
  for await (const object of store.list('gc/', signal)) listed.push(object)
  const read = await mapBounded(listed, 16, (object) => readMark(store, object, signal), signal)
  return {
    marks: read.flatMap((one) => (one && 'keys' in one ? [one] : [])),
    damaged: read.flatMap((one) => (one && 'damaged' in one ? [one.damaged] : [])),
  }
}

/** All keys that may vanish at any time. */
export async function markedKeys(store: Store, signal?: AbortSignal): Promise<ReadonlySet<string>> {
  return new Set((await readMarks(store, signal)).marks.flatMap(({keys}) => keys))
}

/** Writes marks for these keys; they are free an hour after `now`, which is the store's clock. */
export async function writeMarks(
  store: Store,
  keys: readonly string[],
  {now, random}: {readonly now: number; readonly random: (count: number) => Uint8Array},
  signal?: AbortSignal,
): Promise<void> {
  const created = new Date(now).toISOString()
  for (let first = 0; first < keys.length; first += KEYS_A_MARK) {
    const body = {format: 1, created, keys: keys.slice(first, first + KEYS_A_MARK)}
    const name = `gc/${Buffer.from(random(16)).toString('hex')}.json`
    const outcome = await createSettled(store, name, Buffer.from(JSON.stringify(body)), signal)
    if (outcome === 'different')
      throw new DumontError('INTEGRITY', `${name} is there already`, {retry: 'now'})
  }
}

async function readMark(
  store: Store,
  {key, modified}: {readonly key: string; readonly modified: number},
  signal?: AbortSignal,
): Promise<Mark | {readonly damaged: string} | undefined> {
  const value = await readJson(store, key, signal)
  if (value === undefined) return undefined
  const format = formatOf(value)
  if (typeof format === 'number' && format > 1)
    throw new DumontError(
      'FORMAT_NEWER',
      `${key} is of format ${format}, this dumont reads format 1`,
      {
        hint: 'update dumont to a release that reads it',
      },
    )
  const parsed = v.safeParse(mark, value)
  if (!parsed.success) return {damaged: key}
  const {created, keys} = parsed.output
  return {key, since: Math.max(Date.parse(created), modified), keys}
}

/** Undefined when somebody has swept it meanwhile; null for what is no JSON. */
async function readJson(store: Store, key: string, signal?: AbortSignal): Promise<unknown> {
  try {
    return JSON.parse(Buffer.from(await store.get(key, {limit: LIMIT}, signal)).toString('utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) return null
    if (!isDumontError(error) || error.code !== 'INTEGRITY') throw error
    return (await store.head(key, signal)) ? null : undefined
  }
}

function formatOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined
}
