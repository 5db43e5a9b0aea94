import type {Reach} from '../store/reach.js'
import {offProtocol} from '../worker/protocol.js'
import type {GrantedUrl} from '../worker/requests.js'

/** GET URLs, for keys of the request in hand only. */
export async function grantFetch(
  keys: readonly string[],
  allowed: ReadonlySet<string>,
  reach: Reach,
): Promise<readonly GrantedUrl[]> {
  const foreign = keys.find((key) => !allowed.has(key))
  if (foreign !== undefined)
    throw offProtocol(`a request to read ${foreign}, which is none of its business`)
  return Promise.all(
    keys.map(async (key) => {
      const {headers, url} = await reach.sign({method: 'GET', key})
      return {key, url, headers: {...headers}}
    }),
  )
}
