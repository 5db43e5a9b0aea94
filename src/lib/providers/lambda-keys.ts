import {createHash} from 'node:crypto'
import * as v from 'valibot'
import {isProviderError} from './provider-error.js'
import type {VendorApi} from './vendor-api.js'

const keysSchema = v.object({data: v.array(v.object({name: v.string(), public_key: v.string()}))})
const PATH = '/api/v1/ssh-keys'

/**
 * The name under which the account knows this key: the one it has, or a new one made of the key itself. Another dumont may
 * register it at the same moment: then it is there as well.
 */
export async function registeredKeyName(
  api: VendorApi,
  publicKey: string,
  signal?: AbortSignal,
): Promise<string> {
  const operation = 'register SSH key'
  const find = async () => {
    const {data} = await api.call(
      {operation, method: 'GET', path: PATH, schema: keysSchema},
      signal,
    )
    return data.find((key) => identityOf(key.public_key) === identityOf(publicKey))?.name
  }
  const known = await find()
  if (known !== undefined) return known
  const name = `dumont-${createHash('sha256').update(identityOf(publicKey)).digest('hex').slice(0, 12)}`
  const body = {name, public_key: publicKey.trim()}
  try {
    await api.call({operation, method: 'POST', path: PATH, body, schema: v.unknown()}, signal)
    return name
  } catch (error) {
    if (!isProviderError(error) || error.failure !== 'INVALID') throw error
    const found = await find()
    if (found === undefined) throw error
    return found
  }
}

/** Type and key; the comment is nobody's identity. */
function identityOf(key: string): string {
  return key.trim().split(/\s+/u).slice(0, 2).join(' ')
}
