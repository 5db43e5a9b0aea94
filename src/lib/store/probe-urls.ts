import {randomBytes} from 'node:crypto'
import type {Clock} from '../clock.js'
import {pinOf} from './pin.js'
import {removeTrials} from './probe.js'
import type {AnyRequest} from './signed-http.js'
import {PIN_HEADERS} from './signed-headers.js'
import type {PinKind, SignedRequest, Store} from './store.js'
import {trySigned} from './try-signed.js'

/** Something that was tried with a signed request beyond what it was signed for. */
export interface Misuse {
  readonly of: 'download' | 'upload'
  /** Completes "a signed upload …". */
  readonly how: string
  /** Whether the store let it happen. */
  readonly works: boolean
}

const OWN = Buffer.from('dumont probe: what a signed request is made for')
const OTHER = Buffer.from('dumont probe: and what it must be of no use for')
/** A URL of one second is over by then, also where seconds are rounded up. */
const EXPIRY_MS = 3000

/**
 * Tries whether the two sorts of requests that boxes get are good for anything but their one object. For a store that
 * `probeStore` found fit. Leaves nothing behind, and takes about three seconds.
 */
export async function probeUrls(
  store: Store,
  {clock, pin}: {readonly clock: Clock; readonly pin: PinKind},
  signal?: AbortSignal,
): Promise<readonly Misuse[]> {
  const folder = `probe/${randomBytes(8).toString('hex')}`
  const keys = ['there', 'other', 'fresh', 'copy', 'late', 'beside'].map(
    (name) => `${folder}/${name}`,
  )
  const [there = '', other = '', fresh = '', copy = '', late = '', beside = ''] = keys
  const upload = (key: string, seconds = 900) =>
    store.sign({method: 'PUT', key, length: OWN.length, pin: pinOf(pin, OWN), seconds})
  const download = (key: string, seconds = 900) => store.sign({method: 'GET', key, seconds})
  const isOther = async () => OTHER.equals(await store.get(copy, {limit: 1024}, signal))
  try {
    await store.put(there, OWN, {}, signal)
    await store.put(other, OTHER, {}, signal)
    const [lateUpload, lateDownload] = [await upload(late, 1), await download(there, 1)]
    const [put, taken, get] = [await upload(fresh), await upload(there), await download(there)]
    const copying = {...(await upload(copy)), source: sourceOf((await download(other)).url)}
    const first: readonly Attempt[] = [
      {of: 'upload', how: 'stores another object', request: moved(put, fresh, beside), body: OWN},
      {
        of: 'upload',
        how: 'stores other bytes',
        request: without(put, PIN_HEADERS[pin]),
        body: OTHER,
      },
      {of: 'upload', how: 'works without its signature', request: unsigned(put), body: OWN},
      {of: 'upload', how: 'overwrites', request: taken, body: OWN},
      {
        of: 'upload',
        how: 'overwrites when told to',
        request: without(taken, 'if-none-match'),
        body: OWN,
      },
      {of: 'upload', how: 'reads', request: as('GET', taken)},
      {
        of: 'upload',
        how: 'copies another object',
        request: withCopy(copying),
        body: OWN,
        harm: isOther,
      },
      ...listings('upload', put),
      {of: 'download', how: 'reads another object', request: moved(get, there, other)},
      {of: 'download', how: 'works without its signature', request: unsigned(get)},
      {
        of: 'download',
        how: 'overwrites',
        request: {...as('PUT', get), headers: taken.headers},
        body: OWN,
      },
      ...listings('download', get),
    ]
    const found = await outcomes(store, first, signal)
    await clock.sleep(EXPIRY_MS, signal)
    const last: readonly Attempt[] = [
      {of: 'upload', how: 'works when its time is over', request: lateUpload, body: OWN},
      {of: 'download', how: 'works when its time is over', request: lateDownload},
      // Last, because what is gone can be misused no further.
      {of: 'upload', how: 'deletes', request: as('DELETE', taken)},
      {of: 'download', how: 'deletes', request: as('DELETE', get)},
    ]
    found.push(...(await outcomes(store, last, signal)))
    await removeTrials(store, keys)
    return found
  } catch (error) {
    await removeTrials(store, keys).catch(() => {})
    throw error
  }
}

interface Attempt extends Omit<Misuse, 'works'> {
  readonly request: AnyRequest
  readonly body?: Uint8Array
  /** Whether what the store took does harm; it may as well have taken it for what was signed. */
  readonly harm?: () => Promise<boolean>
}

async function outcomes(
  store: Store,
  attempts: readonly Attempt[],
  signal: AbortSignal | undefined,
): Promise<Misuse[]> {
  const found = new Map<string, Misuse>()
  for (const {body, harm, how, of, request} of attempts) {
    const {taken} = await trySigned(store.url, request, body, signal)
    const works = taken && (harm === undefined || (await harm()))
    const name = `${of} ${how}`
    found.set(name, {how, of, works: works || found.get(name)?.works === true})
  }
  return [...found.values()]
}

function as(method: string, {headers, url}: SignedRequest): AnyRequest {
  // Else a store that looks at nothing would still obey the conditions.
  return {headers: method === 'PUT' ? headers : {}, method, url}
}

function moved(signed: SignedRequest, from: string, to: string): AnyRequest {
  return {...signed, url: signed.url.replace(from, to)}
}

function without(signed: SignedRequest, header: string): AnyRequest {
  const {[header]: _, ...headers} = signed.headers
  return {...signed, headers}
}

function unsigned(signed: SignedRequest): AnyRequest {
  const url = new URL(signed.url)
  url.search = ''
  return {...signed, url: url.href}
}

/** Every folder above the object may be where a store lists from: the bucket is one of them. */
function listings(of: Misuse['of'], {url}: SignedRequest): Attempt[] {
  const {pathname} = new URL(url)
  const parts = pathname.split('/')
  return parts.slice(1).map((_, index) => {
    const listing = new URL(url)
    listing.pathname = parts.slice(0, index + 1).join('/') || '/'
    listing.searchParams.set('list-type', '2')
    return {of, how: 'lists', request: {headers: {}, method: 'GET', url: listing.href}}
  })
}

/** Bucket and key, as a copy names its source. */
function sourceOf(url: string): string {
  const {hostname, pathname} = new URL(url)
  const [bucket = '', ...host] = hostname.split('.')
  // Only AWS has buckets as host names.
  return host.at(-2) === 'amazonaws' || host[0] === 's3' ? `/${bucket}${pathname}` : pathname
}

function withCopy({source, ...signed}: SignedRequest & {readonly source: string}): AnyRequest {
  return {...signed, headers: {...signed.headers, 'x-amz-copy-source': source}}
}
