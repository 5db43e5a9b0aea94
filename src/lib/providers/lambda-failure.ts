import * as v from 'valibot'
import type {HttpReply} from './http.js'
import type {ProviderFailure} from './provider-error.js'
import {told} from './told.js'

const envelope = v.object({
  error: v.object({code: v.string(), message: told.text, suggestion: told.text}),
})

/** The vendor asks to branch on the code alone. */
const BY_CODE: readonly (readonly [RegExp, ProviderFailure])[] = [
  [/insufficient-capacity$/u, 'CAPACITY'],
  [/quota-exceeded$/u, 'QUOTA'],
  [/object-does-not-exist$/u, 'NOT_FOUND'],
  [/account-inactive$/u, 'CREDIT'],
  [/invalid-api-key$/u, 'AUTH'],
]

const BY_STATUS: Readonly<Record<number, ProviderFailure>> = {
  401: 'AUTH',
  402: 'CREDIT',
  403: 'SCOPE',
  429: 'RATE_LIMITED',
}

/** A 404 alone is not proof that an instance is gone: any proxy can say that. */
export function lambdaFailure({json, status, text}: HttpReply): {
  readonly failure: ProviderFailure
  readonly said: string
} {
  const body = v.safeParse(envelope, json)
  if (!body.success) return {failure: byStatus(status, false), said: text.slice(0, 200)}
  const {code, message, suggestion} = body.output.error
  const byCode = BY_CODE.find(([pattern]) => pattern.test(code))?.[1]
  const said = [code, message, suggestion].filter((part) => part !== undefined).join(': ')
  return {failure: byCode ?? byStatus(status, true), said}
}

function byStatus(status: number, isEnvelope: boolean): ProviderFailure {
  if (status >= 500 || status === 408) return 'TRANSPORT'
  return BY_STATUS[status] ?? (isEnvelope && status >= 400 ? 'INVALID' : 'PROTOCOL')
}
