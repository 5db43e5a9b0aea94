import {goneInstance} from './gone-instance.js'
import {ProviderError} from './provider-error.js'
import type {Instance} from './provider.js'
import type {VastAnswer, VastHttp} from './vast-http.js'
import {parseVastRecord, vastInstance} from './vast-record.js'

const PAGE = 25
/** Ten thousand instances. */
const MOST_PAGES = 400
const LIST = {provider: 'vast', operation: 'list'}
const GET = {provider: 'vast', operation: 'get'}

/**
 * Every page, or an error: that an instance is in none of them counts as proof that it is gone, so a list that may lack
 * something is no list.
 */
export async function listVast(
  http: VastHttp,
  {label}: {readonly label?: string} = {},
  signal?: AbortSignal,
): Promise<readonly Instance[]> {
  const found = new Map<string, Instance>()
  const tokens = new Set<string>()
  for (let token: string | undefined; ;) {
    const page = await http.call(
      {
        ...LIST,
        endpoint: 'list',
        method: 'GET',
        path: '/api/v1/instances/',
        query: {
          limit: PAGE,
          order_by: [{col: 'id', dir: 'asc'}],
          select_filters: label === undefined ? {} : {label: {eq: label}},
          ...(token !== undefined && {after_token: token}),
        },
      },
      signal,
    )
    for (const instance of instancesOf(page)) found.set(instance.id, instance)
    token = nextToken(page)
    if (token === undefined)
      return [...found.values()].filter((one) => label === undefined || one.label === label)
    if (tokens.has(token) || tokens.size === MOST_PAGES)
      throw new ProviderError('PROTOCOL', LIST, 'the list has no end')
    tokens.add(token)
  }
}

/**
 * The record of one id. A null record, or the vendor's own "no such instance", is `gone`; any other answer without a
 * record is an error, because silence must not pass for absence.
 */
export async function getVast(http: VastHttp, id: string, signal?: AbortSignal): Promise<Instance> {
  const answer = await http
    .call(
      {
        ...GET,
        endpoint: 'show',
        method: 'GET',
        path: `/api/v0/instances/${id}/`,
        query: {owner: 'me'},
      },
      signal,
    )
    .catch((error: unknown) => {
      if (error instanceof ProviderError && error.failure === 'NOT_FOUND') return {instances: null}
      throw error
    })
  if (answer['instances'] === null) return {...goneInstance(id, 'gone'), hourly: 0}
  const instance = instanceOf(answer['instances'], GET)
  if (instance.id !== id) throw new ProviderError('PROTOCOL', GET, 'another instance was returned')
  return instance
}

function instancesOf({instances}: VastAnswer): readonly Instance[] {
  if (!Array.isArray(instances)) throw new ProviderError('PROTOCOL', LIST, 'no list came')
  return instances.map((row: unknown) => instanceOf(row, LIST))
}

function instanceOf(row: unknown, where: typeof LIST): Instance {
  try {
    return vastInstance(parseVastRecord(row))
  } catch (error) {
    throw new ProviderError('PROTOCOL', where, 'a record without an id', {cause: error})
  }
}

/** Null or empty ends the list; a page that does not say is the last only when it is not full. */
function nextToken({instances, next_token: token}: VastAnswer): string | undefined {
  if (token === null || token === '') return undefined
  if (typeof token === 'string') return token
  if (token === undefined && Array.isArray(instances) && instances.length < PAGE) return undefined
  throw new ProviderError('PROTOCOL', LIST, 'it is not said where the list goes on')
}
