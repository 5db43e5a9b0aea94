import {request as httpRequest, type ClientRequest, type IncomingMessage} from 'node:http'
import {request as httpsRequest} from 'node:https'
import {DumontError} from '../errors.js'
import {collect} from './collect.js'
import {IDLE_MS, withoutSilence} from './idle.js'
import {interruption, throwIfInterrupted} from './interruption.js'
import type {SignedRequest} from './store.js'

/** A signed request, or what somebody makes of it. */
export interface AnyRequest extends Omit<SignedRequest, 'method'> {
  readonly method: string
}

export interface SignedAnswer {
  readonly status: number
  readonly body: Uint8Array
}

const ANSWER_LIMIT = 1024 * 1024

/**
 * Makes a signed request the way a box does: without any credential, headers byte for byte. For probes and tests; the
 * status is the answer, whatever it is. Rejects (UNREACHABLE) when there is none.
 */
export async function sendSigned(
  signed: AnyRequest,
  body?: Uint8Array,
  signal?: AbortSignal,
): Promise<SignedAnswer> {
  throwIfInterrupted(signal)
  const send = signed.url.startsWith('https:') ? httpsRequest : httpRequest
  const request = send(signed.url, {
    method: signed.method,
    headers: {...signed.headers},
    agent: false,
    timeout: IDLE_MS,
    ...(signal && {signal}),
  })
  try {
    const response = await answerOf(request, body)
    const pieces = withoutSilence(response, IDLE_MS, signal)
    return {status: response.statusCode ?? 0, body: await collect('answer', pieces, ANSWER_LIMIT)}
  } catch (error) {
    if (signal?.aborted) throw interruption(signal)
    throw new DumontError('UNREACHABLE', 'the store broke off a signed request', {
      cause: error,
      retry: 'now',
    })
  } finally {
    request.destroy()
  }
}

function answerOf(request: ClientRequest, body: Uint8Array | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('error', reject).on('response', resolve)
    request.on('timeout', () => request.destroy(new Error('no answer')))
    request.end(body)
  })
}
