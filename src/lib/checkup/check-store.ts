import type {Clock} from '../clock.js'
import {DumontError} from '../errors.js'
import {probeStore} from '../store/probe.js'
import {probeUrls} from '../store/probe-urls.js'
import {openRepository} from '../store/repository.js'
import {skewWarning} from '../store/skew.js'
import type {Store} from '../store/store.js'
import {bad, good, note, type Finding} from './finding.js'

/** Looks at a store the way every command uses it; what it writes to find out it removes again. */
export async function checkStore(
  store: Store,
  clock: Clock,
  signal?: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  try {
    const repository = await openRepository(store, {create: false}, signal)
    findings.push(
      repository
        ? good('store', `${store.url} holds repository ${repository.id}`)
        : note('store', `${store.url} can be reached and holds nothing of dumont yet`),
    )
  } catch (error) {
    // Nothing else can be found out about a store that cannot be reached or used.
    return [bad('store', error)]
  }
  // A directory that is not there yet is made by the first snapshot, not by a look at it.
  if (store.reach === 'direct' || findings[0]?.state === 'good')
    findings.push(...(await promises(store, clock, signal)))
  findings.push(await clockOf(store, clock, signal))
  if (store.endurance) findings.push(await enduranceOf(store, signal))
  return findings
}

async function promises(
  store: Store,
  clock: Clock,
  signal?: AbortSignal,
): Promise<readonly Finding[]> {
  try {
    const {notes, pin} = await probeStore(store, signal)
    const kind = pin === 'crc32' ? 'CRC-32' : 'MD5'
    return [
      good('uploads', `objects are created only once, and held to length and ${kind}`),
      ...notes.map((text) => note('delete', text)),
      ...(await signedUrls(store, {clock, pin}, signal)),
    ]
  } catch (error) {
    return [bad('uploads', error)]
  }
}

/** What a box could do with the requests it is given, should it be somebody else's. */
async function signedUrls(
  store: Store,
  context: Parameters<typeof probeUrls>[1],
  signal?: AbortSignal,
): Promise<readonly Finding[]> {
  try {
    const tried = await probeUrls(store, context, signal)
    const works = tried.filter((misuse) => misuse.works)
    if (works.length === 0)
      return [
        good('signed URLs', `good for their one object only: ${tried.length} misuses are refused`),
      ]
    return works.map(({how, of}) => {
      const hint = how.includes('without its signature') ? PUBLIC : LAX
      return bad(
        'signed URLs',
        new DumontError('STORE_UNSUITABLE', `a signed ${of} of ${store.url} ${how}`, {hint}),
      )
    })
  } catch (error) {
    return [bad('signed URLs', error)]
  }
}

const PUBLIC =
  'the bucket is open to everybody: take public access and its anonymous policy away, in the console of its provider'
const LAX =
  'let no box that you do not trust use this store: move to one that checks every part of a signature, such as Cloudflare R2, AWS S3 or a directory'

async function clockOf(store: Store, clock: Clock, signal?: AbortSignal): Promise<Finding> {
  try {
    const skewMs = (await store.now(signal)) - clock.now()
    const warning = skewWarning(skewMs)
    return warning === undefined
      ? good('clock', 'agrees with the store’s')
      : note('clock', warning, 'set this machine’s clock, for instance by NTP')
  } catch (error) {
    return bad('clock', error)
  }
}

async function enduranceOf(store: Store, signal?: AbortSignal): Promise<Finding> {
  try {
    const found = await store.endurance?.(signal)
    if (found?.kind === 'expires')
      return bad(
        'lifecycle',
        new DumontError(
          'STORE_UNSUITABLE',
          `rules of the bucket remove or freeze what is stored: ${found.rules.join('; ')}`,
          {hint: 'take the prefix out of these rules'},
        ),
      )
    if (found?.kind === 'unreadable')
      return note(
        'lifecycle',
        `the bucket’s rules cannot be read (${found.reason})`,
        'make sure that none removes objects under this prefix',
      )
    return good('lifecycle', 'no rule of the bucket removes what is stored')
  } catch (error) {
    return bad('lifecycle', error)
  }
}
