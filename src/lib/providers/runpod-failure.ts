import * as v from 'valibot'
import type {HttpReply} from './http.js'
import type {ProviderFailure} from './provider-error.js'
import {told} from './told.js'

const problem = v.object({title: told.text, detail: told.text, errors: told.texts})

/** The vendor tells these in prose, at whatever status. */
const BY_WORDS: readonly (readonly [RegExp, ProviderFailure])[] = [
  [
    /no longer any instances available|no instances? (?:are |is )?(?:currently )?available/iu,
    'CAPACITY',
  ],
  [
    /not enough free gpus|does not have the resources|insufficient capacity|out of stock/iu,
    'CAPACITY',
  ],
  [
    /no (?:available )?(?:machines?|capacity|gpus?) (?:are |is )?(?:currently )?available/iu,
    'CAPACITY',
  ],
  [/spend(?:ing)? limit/iu, 'QUOTA'],
  [
    /insufficient (?:funds|balance|credits?)|balance (?:is )?too low|add (?:funds|credits?)/iu,
    'CREDIT',
  ],
]

const BY_STATUS: Readonly<Record<number, ProviderFailure>> = {
  401: 'AUTH',
  402: 'CREDIT',
  403: 'SCOPE',
  404: 'NOT_FOUND',
  429: 'RATE_LIMITED',
}

/** Words and a 404 count only in a problem object of the vendor: a page of some proxy may hold anything. */
export function runpodFailure({json, status, text}: HttpReply): {
  readonly failure: ProviderFailure
  readonly said: string
} {
  const body = v.safeParse(problem, json)
  const {detail, errors, title} = body.success
    ? body.output
    : {detail: undefined, errors: [], title: undefined}
  const isProblem = title !== undefined || detail !== undefined
  const said = isProblem ? [detail ?? title, ...errors].join('; ') : text.slice(0, 200)
  const byWords = isProblem ? BY_WORDS.find(([pattern]) => pattern.test(said))?.[1] : undefined
  return {failure: byWords ?? byStatus(status, isProblem), said}
}

function byStatus(status: number, isProblem: boolean): ProviderFailure {
  if (status >= 500 || status === 408) return 'TRANSPORT'
  if (status === 404 && !isProblem) return 'PROTOCOL'
  return BY_STATUS[status] ?? (isProblem && status >= 400 ? 'INVALID' : 'PROTOCOL')
}
