import {randomBytes} from 'node:crypto'
import {DumontError, isDumontError} from '../errors.js'
import {isExactly, pinOf} from './pin.js'
import type {Pin, PinKind, SignedRequest, Store} from './store.js'
import {trySigned, type Trial} from './try-signed.js'

export interface Probe {
  readonly pin: PinKind
  /** What an operator should know though it does not forbid the store. */
  readonly notes: readonly string[]
}

const RIGHT = Buffer.from('dumont probe: these bytes')
const WRONG = Buffer.from('dumont probe: other bytes')
const LONGER = Buffer.concat([RIGHT, Buffer.from('!')])
const REMEDY =
  'use a store that honours it: Cloudflare R2, AWS S3, a recent MinIO or versitygw, or a directory'
const CLEANING_MS = 1500

/**
 * Finds out by trying whether a store keeps the two promises everything rests on: an object is created only once, and a signed
 * upload takes only the signed bytes. Rejects (STORE_UNSUITABLE) when it does not. Leaves nothing behind.
 */
export async function probeStore(store: Store, signal?: AbortSignal): Promise<Probe> {
  const folder = `probe/${randomBytes(8).toString('hex')}`
  const keys: string[] = []
  const fresh = (name: string) => {
    const key = `${folder}/${name}`
    keys.push(key)
    return key
  }
  try {
    await probeWriteOnce(store, fresh('once'), signal)
    return {pin: await probePins(store, fresh, signal), notes: await removeTrials(store, keys)}
  } catch (error) {
    await removeTrials(store, keys).catch(() => {})
    throw error
  }
}

async function probeWriteOnce(
  store: Store,
  key: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const first = await store.put(key, RIGHT, {}, signal)
  const second = await store.put(key, WRONG, {}, signal)
  const kept = await store.get(key, {limit: 1024}, signal)
  if (first !== 'created' || second !== 'exists' || !RIGHT.equals(kept))
    throw unsuitable(
      store,
      'overwrites an object that was to be created only once (If-None-Match is ignored)',
    )
}

type Fresh = (name: string) => string

/** CRC-32 first: it costs the box a third of what MD5 does. */
async function probePins(
  store: Store,
  fresh: Fresh,
  signal: AbortSignal | undefined,
): Promise<PinKind> {
  const reasons: string[] = []
  for (const kind of ['crc32', 'md5'] as const) {
    const reason = await pinFault(store, kind, fresh, signal)
    if (reason === undefined) return kind
    reasons.push(`${kind}: ${reason}`)
  }
  throw unsuitable(store, `does not hold signed uploads to what was signed (${reasons.join('; ')})`)
}

/** Why pins of this kind cannot be relied on; undefined when they can. */
async function pinFault(
  store: Store,
  kind: PinKind,
  fresh: Fresh,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const pin = pinOf(kind, RIGHT)
  const trial = async (name: string, body: Uint8Array) => {
    const key = fresh(`${kind}-${name}`)
    return {key, ...(await upload(store, {key, pin, body}, signal))}
  }
  const wrong = await trial('bytes', WRONG)
  if (wrong.taken || (await store.head(wrong.key, signal))) return 'takes other bytes'
  const longer = await trial('length', LONGER)
  if (longer.taken || (await store.head(longer.key, signal))) return 'takes another length'
  const right = await trial('right', RIGHT)
  if (!right.taken) return `refuses the right bytes (HTTP ${right.status})`
  if (!isExactly(await store.head(right.key, signal), RIGHT.length, pin))
    return 'does not tell the checksum of what it took'
  const again = await upload(store, {key: right.key, pin, body: RIGHT}, signal)
  return again.taken ? 'takes a second upload of the same object' : undefined
}

interface Upload {
  readonly key: string
  readonly pin: Pin
  readonly body: Uint8Array
}

/** A store that hangs up on a wrong upload refuses it too; whether it kept something is looked at separately. */
async function upload(
  store: Store,
  {key, pin, body}: Upload,
  signal: AbortSignal | undefined,
): Promise<Trial> {
  const signed = await store.sign({method: 'PUT', key, length: RIGHT.length, pin})
  // The true length, so that it is the signature that refuses it and not a broken request.
  const request: SignedRequest = {
    ...signed,
    headers: {...signed.headers, 'content-length': String(body.length)},
  }
  return trySigned(store.url, request, body, signal)
}

/** What to tell of the removal. Not under the caller's signal: an interrupted probe cleans up as well, only quickly. */
export async function removeTrials(store: Store, keys: readonly string[]): Promise<string[]> {
  try {
    await store.remove(keys, AbortSignal.timeout(CLEANING_MS * keys.length))
    return []
  } catch (error) {
    if (isDumontError(error) && error.code === 'ACCESS_DENIED')
      return ['the credentials may not delete: dumont can save and restore, but not free space']
    throw error
  }
}

function unsuitable(store: Store, reason: string): DumontError {
  return new DumontError('STORE_UNSUITABLE', `${store.url} ${reason}`, {hint: REMEDY})
}
