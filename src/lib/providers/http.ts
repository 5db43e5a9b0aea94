import {untrusted} from '../untrusted.js'
import {ProviderError} from './provider-error.js'

const TIMEOUT_MS = 60_000
const MOST_BYTES = 16 * 1024 * 1024

/** One request to a vendor. */
export interface HttpCall {
  readonly provider: string
  /** What it is for, in words that stand before "failed". */
  readonly operation: string
  readonly method: 'DELETE' | 'GET' | 'PATCH' | 'POST' | 'PUT'
  /** Never holds a secret: keys travel in headers. */
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: unknown
  /** Must not happen twice: when its answer is lost, this rejects with AMBIGUOUS instead of TRANSPORT. */
  readonly once?: boolean
  /** What must not be told again, whatever the vendor answers. */
  readonly secrets: readonly string[]
}

export interface HttpReply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Undefined when the body is no JSON. */
  readonly json: unknown
}

export interface HttpOptions {
  readonly fetch?: typeof fetch
  readonly timeoutMs?: number
  readonly maxBytes?: number
}

/** Nothing of the request reached anybody when it failed with one of these. */
const UNSENT = new Set(['EAI_AGAIN', 'ECONNREFUSED', 'ENETUNREACH', 'ENOTFOUND', 'EHOSTUNREACH'])

/**
 * Sends one request, once, and reads its whole answer, whatever its status. A redirect is an answer like any other: following it
 * could carry the key elsewhere. Rejects with TRANSPORT (or AMBIGUOUS), with PROTOCOL for a body beyond the bound, and with
 * the signal's reason.
 */
export async function sendRequest(
  call: HttpCall,
  {fetch: send = fetch, timeoutMs = TIMEOUT_MS, maxBytes = MOST_BYTES}: HttpOptions = {},
  signal?: AbortSignal,
): Promise<HttpReply> {
  signal?.throwIfAborted()
  const timeout = AbortSignal.timeout(timeoutMs)
  try {
    const response = await send(call.url, {
      method: call.method,
      redirect: 'manual',
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      headers: {
        accept: 'application/json',
        'user-agent': 'dumont',
        ...(call.body !== undefined && {'content-type': 'application/json'}),
        ...call.headers,
      },
      ...(call.body !== undefined && {body: JSON.stringify(call.body)}),
    })
    const text = await readBounded(response, maxBytes, call)
    return {status: response.status, headers: response.headers, text, json: parseJson(text)}
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof ProviderError) throw error
    throw lost(call, timeout.aborted ? `no answer within ${timeoutMs / 1000} s` : reasonOf(error))
  }
}

/** A vendor's words, fit to be shown: without the secrets, anything that looks like one, and control characters. */
export function redact(text: string, secrets: readonly string[], limit = 300): string {
  const known = secrets.filter((secret) => secret.length > 0)
  const without = known.reduce((rest, secret) => rest.replaceAll(secret, '…'), text)
  return untrusted(
    without
      .replaceAll(/\b(bearer|basic)\s+[\w.~+/=-]{8,}/giu, '$1 …')
      .replaceAll(
        /((?:api[-_]?key|token|secret|password|passwd|authorization|signature)["']?\s*[=:]\s*["']?)[^\s"'&,}]+/giu,
        '$1…',
      ),
    limit,
  )
}

async function readBounded(response: Response, most: number, call: HttpCall): Promise<string> {
  const pieces: Uint8Array[] = []
  let size = 0
  for await (const piece of response.body ?? []) {
    size += (piece as Uint8Array).length
    if (size > most)
      throw new ProviderError(
        call.once === true ? 'AMBIGUOUS' : 'PROTOCOL',
        call,
        'the answer is too long',
        {
          status: response.status,
        },
      )
    pieces.push(piece as Uint8Array)
  }
  return Buffer.concat(pieces).toString('utf8')
}

function lost(call: HttpCall, reason: string): ProviderError {
  const isAmbiguous = call.once === true && !UNSENT.has(reason)
  return new ProviderError(
    isAmbiguous ? 'AMBIGUOUS' : 'TRANSPORT',
    call,
    redact(reason, call.secrets, 100),
  )
}

/** The deepest code says most: ECONNRESET rather than "fetch failed". */
function reasonOf(error: unknown): string {
  const {cause, code, message} = error as {cause?: unknown; code?: unknown; message?: unknown}
  if (typeof cause === 'object' && cause !== null) return reasonOf(cause)
  return typeof code === 'string' ? code : String(message)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
