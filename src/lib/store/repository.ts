import {randomBytes} from 'node:crypto'
import {DumontError} from '../errors.js'
import type {Protection} from '../seal/store-keys.js'
import {untrusted} from '../untrusted.js'
import {probeStore} from './probe.js'
import {createSettled} from './settle.js'
import type {PinKind, Store} from './store.js'

/** What `dumont.json` says of a store. */
export interface Repository {
  /** 32 hexadecimal digits, random. */
  readonly id: string
  /** ISO 8601, by the store's clock. */
  readonly created: string
  /** The checksum this store holds uploads to. */
  readonly pin: PinKind
  /** What its keys do; a store without keys has none. */
  readonly protection?: Protection
}

/** How a store with keys begins. */
export interface Founding {
  readonly protection: Protection
  /** Puts in place what opens the store; `dumont.json` is written only after it, so that no store is ever without a way in. */
  prepare(repository: string): Promise<void>
}

export interface OpenedRepository extends Repository {
  /** Whether this call was the store's first use. */
  readonly isNew: boolean
  /** What the first use found that an operator should know. */
  readonly notes: readonly string[]
}

const KEY = 'dumont.json'
const FORMAT = 1
const LIMIT = 64 * 1024

/**
 * Reads the repository of a store. At first use `create: true` tests the store and writes `dumont.json`, with keys where there is
 * a `founding`; without it nothing is written and the answer is undefined. Rejects with FORMAT_NEWER, INTEGRITY, STORE_UNSUITABLE and the store's own errors.
 */
export function openRepository(
  store: Store,
  options: {readonly create: true; readonly founding?: Founding},
  signal?: AbortSignal,
): Promise<OpenedRepository>
export function openRepository(
  store: Store,
  options: {readonly create: boolean},
  signal?: AbortSignal,
): Promise<OpenedRepository | undefined>
export async function openRepository(
  store: Store,
  {create, founding}: {readonly create: boolean; readonly founding?: Founding},
  signal?: AbortSignal,
): Promise<OpenedRepository | undefined> {
  const existing = await readRepository(store, signal)
  if (existing) return {...existing, isNew: false, notes: []}
  await refuseHeadless(store, signal)
  return create ? createRepository(store, founding, signal) : undefined
}

async function createRepository(
  store: Store,
  founding: Founding | undefined,
  signal: AbortSignal | undefined,
): Promise<OpenedRepository> {
  const {pin, notes} = await probeStore(store, signal)
  const id = randomBytes(16).toString('hex')
  const created = new Date(await store.now(signal)).toISOString()
  await founding?.prepare(id)
  const {protection} = founding ?? {}
  const body = Buffer.from(`${JSON.stringify({format: FORMAT, id, created, pin, protection})}\n`)
  const outcome = await createSettled(store, KEY, body, signal)
  // Of two first users at once, the one who comes second takes what the first wrote.
  const written = await readRepository(store, signal)
  if (!written)
    throw new DumontError('STORE_UNSUITABLE', `${store.url} does not show what it just took`)
  return {...written, isNew: outcome !== 'different', notes}
}

/** Listed, not just fetched: only a listing tells an empty bucket from one that is not there. */
async function readRepository(
  store: Store,
  signal: AbortSignal | undefined,
): Promise<Repository | undefined> {
  for await (const {key} of store.list(KEY, signal))
    if (key === KEY) return parseRepository(store, await store.get(KEY, {limit: LIMIT}, signal))
  return undefined
}

/** A new identity over old snapshots would hide that something was removed. */
async function refuseHeadless(store: Store, signal: AbortSignal | undefined): Promise<void> {
  for await (const _ of store.list('snapshots/', signal))
    throw new DumontError('INTEGRITY', `${store.url} holds snapshots but no ${KEY}`, {
      hint: `put ${KEY} back from a copy, or use another store or prefix`,
    })
}

function parseRepository(store: Store, bytes: Uint8Array): Repository {
  const {format, id, created, pin, protection} = parseObject(store, bytes)
  if (typeof format === 'number' && Number.isInteger(format) && format > FORMAT)
    throw new DumontError(
      'FORMAT_NEWER',
      `${store.url} has format ${format}; this dumont knows format ${FORMAT}`,
      {
        hint: 'update dumont',
      },
    )
  const isWhole =
    format === FORMAT &&
    typeof id === 'string' &&
    /^[0-9a-f]{32}$/.test(id) &&
    typeof created === 'string' &&
    Number.isFinite(Date.parse(created)) &&
    (pin === 'crc32' || pin === 'md5')
  if (!isWhole) throw damaged(store, bytes)
  return {id, created, pin, ...protectionOf(store, protection)}
}

/** Whoever does not know how a store is protected must not write there as if it were not. */
function protectionOf(store: Store, value: unknown): {readonly protection?: Protection} {
  if (value === undefined) return {}
  if (value === 'sealed' || value === 'authenticated') return {protection: value}
  const shown = untrusted(JSON.stringify(value), 40)
  throw new DumontError(
    'FORMAT_NEWER',
    `${store.url} is protected in a way this dumont does not know: ${shown}`,
    {hint: 'update dumont'},
  )
}

function parseObject(store: Store, bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // Told below, with what was found instead.
  }
  throw damaged(store, bytes)
}

function damaged(store: Store, bytes: Uint8Array): DumontError {
  const found = untrusted(Buffer.from(bytes).toString('utf8'), 60)
  return new DumontError('INTEGRITY', `${KEY} of ${store.url} is damaged: ${found}`, {
    hint: 'put it back from a copy; without it the store cannot be used',
  })
}
