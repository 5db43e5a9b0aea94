import {ProviderError} from './provider-error.js'
import type {VastHttp} from './vast-http.js'

const VALUES = {provider: 'vast', operation: 'values'}
/** What the vendor makes anew for each instance: keys and tokens that no other may have. */
const VENDOR_NAMES: ReadonlySet<string> = new Set([
  'CONTAINER_API_KEY',
  'JUPYTER_PASSWORD',
  'JUPYTER_TOKEN',
  'OPEN_BUTTON_TOKEN',
])

/** What the renter of an instance put into its environment, by name. */
export async function vastValues(
  http: VastHttp,
  id: string,
  signal?: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const path = `/api/v0/instances/${id}/`
  const {instances} = await http.call(
    {...VALUES, endpoint: 'show', method: 'GET', path, query: {owner: 'me'}},
    signal,
  )
  const {extra_env: told} = (instances ?? {}) as {readonly extra_env?: unknown}
  if (told === undefined || told === null) return {}
  if (typeof told !== 'object') throw new ProviderError('PROTOCOL', VALUES, 'no variables came')
  const pairs: readonly unknown[] = Array.isArray(told) ? told : Object.entries(told)
  return Object.fromEntries(pairs.flatMap(valueOf))
}

/** `["NAME", "value"]`; ports come in the same list under names that are none. */
function valueOf(pair: unknown): readonly (readonly [string, string])[] {
  const [name, value] = Array.isArray(pair) ? (pair as readonly unknown[]) : []
  const isOwn = typeof name === 'string' && /^\w+$/u.test(name) && !VENDOR_NAMES.has(name)
  return isOwn && typeof value === 'string' ? [[name, value]] : []
}
