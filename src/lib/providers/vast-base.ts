import {DumontError} from '../errors.js'
import type {Environment} from '../settings/environment.js'

/** The host that answers itself: the older one redirects, which would cost a client its authorization. */
const STANDARD = 'https://console.vast.ai/'

/** Where the vendor is: `VAST_URL` replaces the address. In the clear only on loopback, since the key goes there. */
export function vastBase(env: Environment): URL {
  const given = env['VAST_URL']
  if (!given) return new URL(STANDARD)
  const url = URL.canParse(given) ? new URL(given) : undefined
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url))
  if (!url || !isSafe || url.username || url.password || url.search || url.hash)
    throw new DumontError('CONFIG', 'VAST_URL is not an address to send a key to', {
      hint: 'give an https:// address without user, query or fragment',
    })
  return url
}

export function isLoopback({hostname}: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/u.test(hostname)
}
