import type {Clock} from '../clock.js'
import {isLoopback} from '../loopback.js'
import {type HttpOptions, sendRequest} from './http.js'
import {ProviderError} from './provider-error.js'

const TRIES = 40
const EVERY_MS = 500
const MOST_BYTES = 1024 * 1024
const TIMEOUT_MS = 10_000

interface Source {
  readonly operation: string
  /** As the vendor's answer gave it. */
  readonly resultUrl: unknown
  /** The vendor's address: only where that is plain loopback may the result's be so. */
  readonly base: URL
  readonly secrets: readonly string[]
}

/**
 * What the vendor puts into its object store for a request, once it is there. The address belongs to another service,
 * so the key does not go with it; a redirect is not followed.
 */
export async function vastResult(
  {base, operation, resultUrl, secrets}: Source,
  options: HttpOptions & {readonly clock: Clock},
  signal?: AbortSignal,
): Promise<string> {
  const where = {provider: 'vast', operation}
  const url =
    typeof resultUrl === 'string' && URL.canParse(resultUrl) ? new URL(resultUrl) : undefined
  const isSafe =
    url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url) && isLoopback(base))
  if (!url || !isSafe || url.username !== '' || url.password !== '')
    throw new ProviderError('PROTOCOL', where, 'no address to fetch the result from')
  const limits = {...options, maxBytes: MOST_BYTES, timeoutMs: options.timeoutMs ?? TIMEOUT_MS}
  let status: number | undefined
  for (let attempt = 0; attempt < TRIES; attempt++) {
    await options.clock.sleep(EVERY_MS, signal)
    const reply = await sendRequest({...where, method: 'GET', url, secrets}, limits, signal).catch(
      (error: unknown) => {
        if (error instanceof ProviderError && error.failure === 'TRANSPORT') return undefined
        throw error
      },
    )
    if (reply?.status === 200) return reply.text
    status = reply?.status
  }
  throw new ProviderError('TRANSPORT', where, 'the result never came', {
    ...(status !== undefined && {status}),
  })
}
