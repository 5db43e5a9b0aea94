import {createHmac, randomBytes, timingSafeEqual} from 'node:crypto'
import type {IncomingMessage} from 'node:http'
import {isKey} from './keys.js'
import {isPinValue} from './pin.js'
import {PIN_HEADERS, pinHeaders, URL_SECONDS} from './signed-headers.js'
import type {Pin, SignedRequest, SignRequest} from './store.js'

/** What a request was signed for, or why it is refused. */
export type Verdict =
  | {readonly kind: 'get'; readonly key: string}
  | {readonly kind: 'put'; readonly key: string; readonly length: number; readonly pin: Pin}
  | ({readonly kind: 'refused'} & Refusal)

/** An S3 error: status, code and message of its XML body. */
export interface Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
}

/** Makes and checks the gateway's URLs; the secret never leaves this process. */
export class GatewaySigner {
  readonly #secret = randomBytes(32)

  sign(request: SignRequest, port: number, nowMs: number): SignedRequest {
    const expires = Math.floor(nowMs / 1000) + (request.seconds ?? URL_SECONDS)
    const claim = request.method === 'PUT' ? {length: request.length, pin: request.pin} : undefined
    const signature = this.#signature(request.method, request.key, expires, claim)
    return {
      method: request.method,
      url: `http://127.0.0.1:${port}/${request.key}?expires=${expires}&signature=${signature}`,
      headers: request.method === 'PUT' ? pinHeaders(request) : {},
    }
  }

  /** The signature covers method, key, expiry and, for a PUT, the headers that pin length, bytes and write-once. */
  check(request: IncomingMessage, nowMs: number): Verdict {
    const url = URL.canParse(request.url ?? '', 'http://gateway')
      ? new URL(request.url ?? '', 'http://gateway')
      : undefined
    const key = url?.pathname.slice(1) ?? ''
    const expires = Number(url?.searchParams.get('expires') ?? Number.NaN)
    if (!url || !isKey(key) || !Number.isSafeInteger(expires)) return MISMATCH
    const isPut = request.method === 'PUT'
    if (isPut && request.headers['content-length'] === undefined) return NO_LENGTH
    const claim = isPut ? claimOf(request) : undefined
    if (isPut && !claim) return MISMATCH
    const expected = this.#signature(request.method ?? '', key, expires, claim)
    if (!equal(expected, url.searchParams.get('signature') ?? '')) return MISMATCH
    if (nowMs >= expires * 1000) return EXPIRED
    return claim ? {kind: 'put', key, ...claim} : {kind: 'get', key}
  }

  #signature(method: string, key: string, expires: number, claim: Claim | undefined): string {
    const signed = [
      method,
      key,
      expires,
      claim?.length ?? null,
      claim?.pin.kind ?? null,
      claim?.pin.value ?? null,
    ]
    return createHmac('sha256', this.#secret).update(JSON.stringify(signed)).digest('hex')
  }
}

interface Claim {
  readonly length: number
  readonly pin: Pin
}

// The same statuses and codes as S3, so that a worker needs one table for both.
const MISMATCH = refused(403, 'SignatureDoesNotMatch', 'The request is not the one that was signed')
const EXPIRED = refused(403, 'ExpiredRequest', 'Request has expired')
const NO_LENGTH = refused(411, 'MissingContentLength', 'Content-Length is required')

function refused(status: number, code: string, message: string): Verdict {
  return {kind: 'refused', status, code, message}
}

function claimOf({headers}: IncomingMessage): Claim | undefined {
  const length = Number(headers['content-length'])
  if (headers['if-none-match'] !== '*' || !Number.isSafeInteger(length)) return undefined
  for (const kind of ['crc32', 'md5'] as const) {
    const value = headers[PIN_HEADERS[kind]]
    if (typeof value === 'string')
      return isPinValue(kind, value) ? {length, pin: {kind, value}} : undefined
  }
  return undefined
}

function equal(one: string, other: string): boolean {
  const [left, right] = [Buffer.from(one), Buffer.from(other)]
  return left.length === right.length && timingSafeEqual(left, right)
}
