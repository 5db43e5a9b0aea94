import {createHash} from 'node:crypto'
import type {Readable} from 'node:stream'
import type {HeadObjectCommandOutput, S3Client} from '@aws-sdk/client-s3'
import type {Clock} from '../clock.js'
import {DumontError} from '../errors.js'
import {absent, collect, GET_LIMIT, tooLong} from './collect.js'
import {IDLE_MS, withoutSilence} from './idle.js'
import {interruption} from './interruption.js'
import {assertKey, assertPrefix} from './keys.js'
import {withRetry} from './retry.js'
import {connectS3, type S3Connection, type S3Timeouts} from './s3-client.js'
import {faultOf, readFailure, s3Error} from './s3-errors.js'
import {isLockRefusal, lockError, lockOf, type LockedObject} from './s3-lock.js'
import {presign} from './s3-sign.js'
import {readListing} from './s3-listing.js'
import {hostOf, lifecycleOf, lifecycleRefusal} from './s3-lifecycle.js'
import type {S3Location} from './store-location.js'
import type {
  Endurance,
  GetOptions,
  ObjectInfo,
  Pin,
  PutOptions,
  SignedRequest,
  SignRequest,
  Store,
} from './store.js'

export interface S3Options {
  readonly clock: Clock
  readonly random?: () => number
  /** Tries of one request in all; default 5. */
  readonly attempts?: number
  readonly timeouts?: Partial<S3Timeouts>
}

const TIMEOUTS: S3Timeouts = {connectMs: 10_000, idleMs: IDLE_MS, requestMs: 120_000}
const REMOVALS_AT_ONCE = 8
/** How long the difference between two clocks is taken to stay. */
const OFFSET_MS = 30_000

/** A bucket of R2, AWS or anything compatible. Boxes reach it straight, with presigned URLs. */
export class S3Store implements Store {
  readonly url: string
  readonly reach = 'direct'
  readonly #location: S3Location
  readonly #clock: Clock
  readonly #random: () => number
  readonly #attempts: number
  readonly #timeouts: S3Timeouts
  #connection: Promise<S3Connection> | undefined
  /** What the store's clock shows more than ours; undefined before its first answer. */
  #offset: number | undefined
  /** When it was told, by our clock. */
  #offsetSince = 0

  constructor(
    location: S3Location,
    {clock, random = Math.random, attempts = 5, timeouts = {}}: S3Options,
  ) {
    this.#location = location
    this.#clock = clock
    this.#random = random
    this.#attempts = attempts
    this.#timeouts = {...TIMEOUTS, ...timeouts}
    this.url = `s3://${[location.bucket, location.prefix].filter((part) => part !== '').join('/')}`
  }

  async put(
    key: string,
    body: Uint8Array,
    {onlyIfAbsent = true}: PutOptions = {},
    signal?: AbortSignal,
  ) {
    const input = {
      ...this.#address(key),
      Body: body,
      ContentLength: body.length,
      ContentMD5: createHash('md5').update(body).digest('base64'),
      ...(onlyIfAbsent && {IfNoneMatch: '*'}),
    }
    return this.#ask(async ({client, sdk}) => {
      try {
        await client.send(new sdk.PutObjectCommand(input), optionsOf(signal))
        return 'created'
      } catch (error) {
        const {status} = readFailure(error)
        if (onlyIfAbsent && (status === 412 || status === 409)) return 'exists'
        throw error
      }
    }, signal)
  }

  async get(
    key: string,
    {range, limit = GET_LIMIT}: GetOptions = {},
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const input = {...this.#address(key), ...(range && {Range: `bytes=${range[0]}-${range[1]}`})}
    return this.#ask(async ({client, sdk}) => {
      const answer = await client
        .send(new sdk.GetObjectCommand(input), optionsOf(signal))
        .catch((error: unknown) => {
          throw getError(key, error)
        })
      const {Body, ContentLength, ContentRange} = answer
      const stream = Body as Readable
      if (range && ContentRange === undefined)
        throw discard(stream, `the store ignores the range asked of ${key}`)
      if (ContentLength !== undefined && ContentLength > limit)
        throw discard(stream, tooLong(key, limit).message)
      const body = await collect(key, withoutSilence(stream, this.#timeouts.idleMs, signal), limit)
      if (body.length !== ContentLength)
        throw new DumontError('INTEGRITY', `${key} came with another length than announced`, {
          retry: 'now',
        })
      return body
    }, signal)
  }

  async head(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    const input = {...this.#address(key), ChecksumMode: 'ENABLED' as const}
    return this.#ask(async ({client, sdk}) => {
      try {
        return infoOf(key, await client.send(new sdk.HeadObjectCommand(input), optionsOf(signal)))
      } catch (error) {
        if (readFailure(error).status === 404) return undefined
        throw error
      }
    }, signal)
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectInfo, void> {
    assertPrefix(prefix)
    const base = this.#fullKey('')
    const input = {Bucket: this.#location.bucket, Prefix: base + prefix}
    const pageAfter = (token: string | undefined) =>
      this.#ask(
        ({client, sdk}) =>
          client.send(
            new sdk.ListObjectsV2Command({...input, ...(token && {ContinuationToken: token})}),
            optionsOf(signal),
          ),
        signal,
      )
    yield* readListing(pageAfter, {base, prefix, url: this.url})
  }

  async remove(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    const waiting = keys.map((key) => ({address: this.#address(key), key})).values()
    const locked: LockedObject[] = []
    const work = async () => {
      for (const {address, key} of waiting)
        if (!(await this.#removeOne(address, signal))) locked.push(await this.#lock(key, signal))
    }
    await Promise.all(Array.from({length: REMOVALS_AT_ONCE}, work))
    if (locked.length > 0) throw lockError(locked, this.#location.bucket)
  }

  async sign(request: SignRequest): Promise<SignedRequest> {
    const {Bucket: bucket, Key: key} = this.#address(request.key)
    try {
      const connection = await this.#connect()
      return await presign(request, {
        connection,
        bucket,
        key,
        now: this.#clock.now() + (this.#offset ?? 0),
      })
    } catch (error) {
      throw s3Error(error, this.#location)
    }
  }

  async now(signal?: AbortSignal): Promise<number> {
    // Every answer tells the time: what one said a moment ago holds.
    const age = this.#clock.now() - this.#offsetSince
    if (this.#offset === undefined || age < 0 || age > OFFSET_MS) {
      this.#offset = undefined
      await this.head('dumont.json', signal)
    }
    if (this.#offset === undefined)
      throw new DumontError('STORE_UNSUITABLE', `${this.url} does not tell its time`)
    return this.#clock.now() + this.#offset
  }

  async endurance(signal?: AbortSignal): Promise<Endurance> {
    const {bucket, endpoint} = this.#location
    const found = await this.#ask(async ({client, sdk}) => {
      const asking = client.send(
        new sdk.GetBucketLifecycleConfigurationCommand({Bucket: bucket}),
        optionsOf(signal),
      )
      return asking.then(({Rules}) => lifecycleOf(Rules ?? [], this.#fullKey('')), lifecycleRefusal)
    }, signal)
    return endpoint === undefined ? found : {...found, host: hostOf(endpoint)}
  }

  async close(): Promise<void> {
    const connection = await this.#connection?.catch(() => {})
    connection?.client.destroy()
  }

  /** False when a lock keeps the object. */
  async #removeOne(
    address: {Bucket: string; Key: string},
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    return this.#ask(async ({client, sdk}) => {
      try {
        await client.send(new sdk.DeleteObjectCommand(address), optionsOf(signal))
        return true
      } catch (error) {
        if (isLockRefusal(error)) return false
        if (readFailure(error).name !== 'NoSuchKey') throw error
        return true
      }
    }, signal)
  }

  async #lock(key: string, signal: AbortSignal | undefined): Promise<LockedObject> {
    try {
      const head = this.#ask(
        ({client, sdk}) =>
          client.send(new sdk.HeadObjectCommand(this.#address(key)), optionsOf(signal)),
        signal,
      )
      return lockOf(key, await head)
    } catch (error) {
      if (signal?.aborted) throw error
      // That it is locked is known all the same.
      return {key}
    }
  }

  #address(key: string): {Bucket: string; Key: string} {
    assertKey(key)
    return {Bucket: this.#location.bucket, Key: this.#fullKey(key)}
  }

  #fullKey(key: string): string {
    return this.#location.prefix === '' ? key : `${this.#location.prefix}/${key}`
  }

  async #ask<T>(
    request: (connection: S3Connection) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const policy = {attempts: this.#attempts, clock: this.#clock, random: this.#random, faultOf}
    try {
      const connection = await this.#connect()
      return await withRetry(() => request(connection), policy, signal)
    } catch (error) {
      if (signal?.aborted) throw interruption(signal)
      throw s3Error(error, this.#location)
    }
  }

  #connect(): Promise<S3Connection> {
    this.#connection ??= connectS3(this.#location, this.#timeouts, (date) => {
      const time = Date.parse(date)
      if (!Number.isFinite(time)) return
      this.#offsetSince = this.#clock.now()
      this.#offset = time - this.#offsetSince
    })
    return this.#connection
  }
}

type SendOptions = NonNullable<Parameters<S3Client['send']>[1]>

function optionsOf(signal: AbortSignal | undefined): SendOptions {
  return signal ? {abortSignal: signal} : {}
}

function discard(stream: Readable, message: string): DumontError {
  stream.destroy()
  return new DumontError('INTEGRITY', message)
}

function getError(key: string, error: unknown): unknown {
  const {name, status} = readFailure(error)
  if (name === 'NoSuchKey') return absent(key)
  if (status === 416) return new DumontError('INTEGRITY', `${key} is shorter than expected`)
  return error
}

function infoOf(key: string, answer: HeadObjectCommandOutput): ObjectInfo {
  const {ContentLength, LastModified} = answer
  if (ContentLength === undefined || LastModified === undefined)
    throw new DumontError('STORE_UNSUITABLE', 'the store answers HEAD without length or time')
  return {key, length: ContentLength, modified: LastModified.getTime(), pins: pinsOf(answer)}
}

/** A composite checksum is one of parts; an ETag is an MD5 unless the object came in parts or the store encrypts with keys of its own. */
function pinsOf({
  ChecksumCRC32,
  ChecksumType,
  ETag,
  ServerSideEncryption,
  SSECustomerAlgorithm,
}: HeadObjectCommandOutput): Pin[] {
  const pins: Pin[] = []
  if (ChecksumCRC32 !== undefined && ChecksumType !== 'COMPOSITE' && !ChecksumCRC32.includes('-'))
    pins.push({kind: 'crc32', value: ChecksumCRC32})
  const md5 = /^"?([0-9a-f]{32})"?$/.exec(ETag ?? '')?.[1]
  const isEncrypted =
    ServerSideEncryption?.startsWith('aws:kms') || SSECustomerAlgorithm !== undefined
  if (md5 !== undefined && !isEncrypted)
    pins.push({kind: 'md5', value: Buffer.from(md5, 'hex').toString('base64')})
  return pins
}
