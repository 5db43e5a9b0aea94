import * as v from 'valibot'
import {type HttpReply, redact} from './http.js'
import {ProviderError, type ProviderFailure} from './provider-error.js'
import type {VastEndpoint} from './vast-spacing.js'

/** What a failure is told with. */
export interface VastOperation {
  readonly provider: string
  readonly operation: string
  readonly endpoint: VastEndpoint
  /** Renting: an answer that leaves it open whether it happened is AMBIGUOUS. */
  readonly once?: boolean
  readonly secrets: readonly string[]
}

const words = v.fallback(v.optional(v.string()), undefined)
const envelope = v.object({
  success: v.fallback(v.optional(v.boolean()), undefined),
  error: words,
  msg: words,
  message: words,
  detail: words,
  new_contract: v.fallback(
    v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))),
    undefined,
  ),
})

/** Fits the first that matches, in this order; the words are the vendor's `error` and `msg` together. */
const BY_WORDS: readonly (readonly [RegExp, ProviderFailure])[] = [
  [/no_such_ask/u, 'OFFER_GONE'],
  [/spend_rate_limit/u, 'QUOTA'],
  [/insufficient[ _]credit|missing_billing|balance too low/iu, 'CREDIT'],
  [/auth_error|invalid user key|session expired/iu, 'AUTH'],
  [/\bbid\b.*\b(?:below|under|lower|less|low)\b|bid_too_low/iu, 'BID_TOO_LOW'],
  [/no_such_instance|^not_found\b/u, 'NOT_FOUND'],
]

const BY_STATUS: Readonly<Record<number, ProviderFailure>> = {
  401: 'AUTH',
  402: 'CREDIT',
  403: 'SCOPE',
  429: 'RATE_LIMITED',
}

/** The failure that an answer tells, at whatever status; undefined when it is a success. */
export function vastFailure(reply: HttpReply, operation: VastOperation): ProviderError | undefined {
  const {status} = reply
  const body = v.safeParse(envelope, reply.json)
  const told = body.success ? body.output : undefined
  if (status >= 200 && status < 300 && told !== undefined && told.success !== false)
    return undefined
  const said = wordsOf(reply, told)
  const failure = classify(status, told !== undefined, said, operation.endpoint)
  const createdId = told?.new_contract
  const isOpen = operation.once === true && OPEN.has(failure) && createdId === undefined
  return new ProviderError(
    isOpen ? 'AMBIGUOUS' : failure,
    operation,
    `status ${status}: ${redact(said, operation.secrets)}`,
    {status, ...(createdId !== undefined && {createdId: String(createdId)})},
  )
}

function wordsOf(
  {headers, status, text}: HttpReply,
  told: v.InferOutput<typeof envelope> | undefined,
): string {
  if (isRedirect(status)) return `redirects to ${headers.get('location') ?? 'nowhere'}`
  if (!told) return text.slice(0, 200)
  return [told.error, told.msg ?? told.message ?? told.detail].filter(Boolean).join(': ')
}

const OPEN: ReadonlySet<ProviderFailure> = new Set(['PROTOCOL', 'TRANSPORT'])

/** Words count only in the vendor's own envelope: a page of some proxy may hold any of them. */
function classify(
  status: number,
  isEnvelope: boolean,
  said: string,
  endpoint: VastEndpoint,
): ProviderFailure {
  // Searching without a valid key is answered so.
  if (status === 404 && isEnvelope && endpoint === 'search') return 'AUTH'
  const byWords = isEnvelope ? BY_WORDS.find(([pattern]) => pattern.test(said))?.[1] : undefined
  if (byWords) return byWords
  if (isRedirect(status)) return 'INVALID'
  if (status >= 500 || status === 408) return 'TRANSPORT'
  return BY_STATUS[status] ?? (isEnvelope ? 'INVALID' : 'PROTOCOL')
}

function isRedirect(status: number): boolean {
  return status >= 300 && status < 400
}

/** Milliseconds the vendor asks for with a 429, if it says so; it sends no Retry-After. */
export function thresholdMs({text}: HttpReply): number {
  const seconds = /threshold=(\d{1,3}(?:\.\d{1,6})?)/u.exec(text)?.[1]
  return seconds === undefined ? 0 : Math.min(60_000, Number(seconds) * 1000)
}
