import {DumontError, isDumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'
import type {Fault} from './retry.js'
import type {S3Location} from './store-location.js'

/** What an S3 failure says of itself, whichever of the SDK's classes it is. */
export interface S3Failure {
  /** S3's code (`NoSuchBucket`), else the SDK's name for it (`TimeoutError`). */
  readonly name: string
  readonly status: number | undefined
  /** Node's code of a failed connection. */
  readonly network: string | undefined
}

export function readFailure(error: unknown): S3Failure {
  const {name, code, $metadata} = (error ?? {}) as {
    name?: unknown
    code?: unknown
    $metadata?: {httpStatusCode?: number; clockSkewCorrected?: boolean}
  }
  return {
    name: typeof name === 'string' ? name : 'unknown',
    status: $metadata?.httpStatusCode,
    network: typeof code === 'string' ? code : undefined,
  }
}

const BUSY = new Set([
  'SlowDown',
  'TooManyRequests',
  'TooManyRequestsException',
  'Throttling',
  'RequestLimitExceeded',
])
const BROKEN = new Set(['RequestTimeout', 'TimeoutError', 'InternalError'])
const DISCONNECTED = new Set([
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ETIMEDOUT',
])

/** Whether, and how patiently, the same request may be sent again. */
export function faultOf(error: unknown): Fault | undefined {
  if (isDumontError(error)) return error.retry === 'now' ? 'broken' : undefined
  const {name, status, network} = readFailure(error)
  if (status === 429 || status === 503 || BUSY.has(name)) return 'busy'
  // R2 answers 501 in bursts for requests it knows well.
  if (status !== undefined && status >= 500) return 'broken'
  if (BROKEN.has(name) || (network !== undefined && DISCONNECTED.has(network))) return 'broken'
  const {$metadata} = error as {$metadata?: {clockSkewCorrected?: boolean}}
  return $metadata?.clockSkewCorrected ? 'broken' : undefined
}

/** The failure in an operator's words. Built from codes and settings alone: no text or header of the request is repeated. */
export function s3Error(error: unknown, location: S3Location): DumontError {
  if (isDumontError(error)) return error
  const failure = readFailure(error)
  const cause = new Error(
    `${untrusted(failure.name, 100)} (HTTP ${failure.status ?? '–'}, ${failure.network ?? '–'})`,
  )
  return (
    configurationError(failure, location, cause) ??
    accessError(failure, location, cause) ??
    connectionError(failure, location, cause) ??
    new DumontError(
      'UNREACHABLE',
      `${whereOf(location)} answered ${untrusted(failure.name, 100)} (HTTP ${failure.status ?? 'none'})`,
      {
        cause,
        retry: 'later',
      },
    )
  )
}

type Mapping = (failure: S3Failure, location: S3Location, cause: Error) => DumontError | undefined

const configurationError: Mapping = ({name, status}, location, cause) => {
  const where = whereOf(location)
  if (name === 'NoSuchBucket')
    return new DumontError('BUCKET_MISSING', `there is no bucket ${location.bucket} at ${where}`, {
      cause,
      hint: 'create the bucket, or correct --store and --endpoint (R2: also the account id and jurisdiction)',
    })
  if (name === 'InvalidBucketName')
    return new DumontError(
      'CONFIG',
      `${location.bucket} is not a bucket name that ${where} accepts`,
      {cause},
    )
  if (name === 'PermanentRedirect' || name === 'AuthorizationHeaderMalformed' || status === 301)
    return new DumontError(
      'CONFIG',
      `bucket ${location.bucket} is not in region ${location.region}`,
      {
        cause,
        hint: 'give its region with --region, AWS_REGION or the key region of the configuration',
      },
    )
  if (name === 'CredentialsProviderError')
    return new DumontError('CONFIG', `there are no credentials for ${where}`, {
      cause,
      hint: 'run dumont init, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
    })
  if (name === 'RequestTimeTooSkewed' || name === 'RequestExpired')
    return new DumontError(
      'CLOCK_SKEW',
      `${where} refuses requests because this machine's clock is wrong`,
      {
        cause,
        hint: 'set the clock (timedatectl set-ntp true) and run the command again',
      },
    )
  if (status === 501 || name === 'NotImplemented')
    return new DumontError('STORE_UNSUITABLE', `${where} lacks something dumont needs`, {cause})
  return undefined
}

const ACCESS_REASONS: Readonly<Record<string, string>> = {
  ExpiredToken: 'the session token has expired',
  InvalidAccessKeyId: 'it does not know the access key id',
  InvalidToken: 'the session token is not valid',
  // versitygw's name for it, with status 404.
  XAdminUserNotFound: 'it does not know the access key id',
  SignatureDoesNotMatch: 'the secret access key does not belong to the access key id',
}

const accessError: Mapping = ({name, status}, location, cause) => {
  const reason = ACCESS_REASONS[name]
  if (reason === undefined && status !== 401 && status !== 403) return undefined
  const {credentialsFrom} = location
  const from = credentialsFrom === undefined ? '' : ` (they came from ${credentialsFrom})`
  const why = reason ?? `the credentials may not do this in bucket ${location.bucket}`
  return new DumontError('ACCESS_DENIED', `${whereOf(location)} refuses access: ${why}`, {
    cause,
    hint: `check the credentials${from}; they need to read, write, list and delete objects of this bucket`,
  })
}

const connectionError: Mapping = ({name, status, network}, location, cause) => {
  const where = whereOf(location)
  if (status === 429 || status === 503 || BUSY.has(name))
    return new DumontError('STORE_BUSY', `${where} asks for fewer requests, and kept asking`, {
      cause,
      hint: 'run the command again later: it continues where it was',
      retry: 'later',
    })
  if (status !== undefined && status >= 500)
    return new DumontError(
      'STORE_BUSY',
      `${where} fails inside (HTTP ${status}), again and again`,
      {
        cause,
        hint: 'run the command again later: it continues where it was',
        retry: 'later',
      },
    )
  if (network !== undefined && /CERT|^ERR_(SSL|TLS)|^EPROTO$|VERIFY|SIGNATURE/.test(network))
    return new DumontError(
      'UNREACHABLE',
      `no trusted TLS connection to ${where} (${untrusted(network, 60)})`,
      {
        cause,
        hint: 'check the endpoint; for a certificate authority of your own set NODE_EXTRA_CA_CERTS',
      },
    )
  if (network === 'ENOTFOUND')
    return new DumontError('UNREACHABLE', `the name of ${where} cannot be resolved`, {
      cause,
      hint: 'check --endpoint (R2: the account id) and the network',
    })
  if (network !== undefined || name === 'TimeoutError')
    return new DumontError(
      'UNREACHABLE',
      `cannot reach ${where} (${untrusted(network ?? 'no answer in time', 60)})`,
      {
        cause,
        hint: 'check --endpoint and the network',
        retry: 'later',
      },
    )
  return undefined
}

function whereOf({endpoint, region}: S3Location): string {
  return endpoint === undefined ? `AWS S3 (${region})` : new URL(endpoint).host
}
