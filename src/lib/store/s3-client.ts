import {Transform, type Readable} from 'node:stream'
import {DumontError} from '../errors.js'
import type * as Sdk from './s3-sdk.js'
import type {S3Location} from './store-location.js'

export type S3Sdk = typeof Sdk

export interface S3Connection {
  readonly sdk: S3Sdk
  readonly client: Sdk.S3Client
}

export interface S3Timeouts {
  readonly connectMs: number
  /** Silence on a connection. */
  readonly idleMs: number
  /** From sending a request to the beginning of its answer. */
  readonly requestMs: number
}

/** The SDK is loaded here and not before: it costs an eighth of a second that most commands need not pay. */
export async function connectS3(
  location: S3Location,
  timeouts: S3Timeouts,
  onDate: (date: string) => void,
): Promise<S3Connection> {
  const sdk = await import('./s3-sdk.js')
  const client = new sdk.S3Client({
    region: location.region,
    // Compatible stores serve buckets as paths; only AWS wants them as host names.
    ...(location.endpoint !== undefined && {endpoint: location.endpoint, forcePathStyle: true}),
    ...(location.credentials && {credentials: {...location.credentials}}),
    ...(location.awsProfile !== undefined && {profile: location.awsProfile}),
    // Else every signed PUT would carry the checksum of an empty body.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: timeouts.connectMs,
      requestTimeout: timeouts.requestMs,
      socketTimeout: timeouts.idleMs,
      throwOnRequestTimeout: true,
    },
  })
  replaceRetries(client)
  watchDates(client, onDate)
  boundAnswers(client)
  return {sdk, client}
}

/** Retrying is ours: the SDK's pauses cannot be interrupted, it does not read bodies again, and it disguises foreign errors. */
function replaceRetries(client: Sdk.S3Client): void {
  client.middlewareStack.add((next) => (args) => next(args), {
    name: 'retryMiddleware',
    step: 'finalizeRequest',
    priority: 'high',
    override: true,
  })
}

/** `low` is next to the wire, so that refusals are seen too. */
function watchDates(client: Sdk.S3Client, onDate: (date: string) => void): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      const {headers} = (result.response ?? {}) as {headers?: Readonly<Record<string, string>>}
      if (headers?.['date'] !== undefined) onDate(headers['date'])
      return result
    },
    {step: 'deserialize', priority: 'low', name: 'dumontDates'},
  )
}

/** A thousand keys of the greatest length, three times over. */
const MOST_XML = 16 * 1024 * 1024

/** The SDK reads whole whatever is not an object's content: listings and refusals, which a store could make endless. */
function boundAnswers(client: Sdk.S3Client): void {
  client.middlewareStack.add(
    (next, {commandName}) =>
      async (args) => {
        const result = await next(args)
        const response = result.response as {body?: Readable; statusCode: number}
        const isContent = commandName === 'GetObjectCommand' && response.statusCode < 300
        if (response.body && !isContent) response.body = bounded(response.body)
        return result
      },
    {step: 'deserialize', priority: 'low', name: 'dumontBounds'},
  )
}

function bounded(body: Readable): Readable {
  let length = 0
  const counted = new Transform({
    transform(piece: Uint8Array, _encoding, done) {
      length += piece.length
      done(length > MOST_XML ? endless() : null, piece)
    },
  })
  body.once('error', (error) => counted.destroy(error))
  counted.once('close', () => body.destroy())
  return body.pipe(counted)
}

function endless(): DumontError {
  return new DumontError('STORE_UNSUITABLE', `the store answers with more than ${MOST_XML} bytes`)
}
