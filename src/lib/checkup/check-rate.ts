import {createHash} from 'node:crypto'
import {formatBytes} from '../bytes.js'
import type {ConnectedBox} from '../snapshots/connect-worker.js'
import type {StoreService} from '../snapshots/service.js'
import {pinOf} from '../store/pin.js'
import type {PinKind} from '../store/store.js'
import {bad, good, note, type Finding} from './finding.js'

/** Objects side by side, as parts are; together a few MB. */
const STREAMS = 4
const LENGTH = 4 * 1024 * 1024
/** Below this even a small workspace takes hours. */
const SLOW = 1e6

/** How fast a box sends to the store and fetches from it, by a few MB that are removed again. */
export async function checkRate(
  {reach, worker}: ConnectedBox,
  {pin, service}: {readonly pin: PinKind; readonly service: Pick<StoreService, 'random' | 'store'>},
  signal?: AbortSignal,
): Promise<readonly Finding[]> {
  const seed = Buffer.from(service.random(16)).toString('hex')
  const keys = Array.from({length: STREAMS}, (_, n) => `probe/${seed}/${n}`)
  try {
    const content = keys.map((_, number) => contentOf(seed, number))
    const puts = content.map((bytes, number) =>
      reach.sign({
        method: 'PUT',
        key: keys[number] ?? '',
        length: LENGTH,
        pin: pinOf(pin, bytes),
      }),
    )
    const gets = keys.map((key) => reach.sign({method: 'GET', key}))
    const {down, up} = await worker.rate(
      {
        type: 'rate',
        seed,
        length: LENGTH,
        puts: await signed(keys, puts),
        gets: await signed(keys, gets),
      },
      {},
      signal,
    )
    return [shown('uplink', up), ...(down === null ? [] : [shown('downlink', down)])]
  } catch (error) {
    return [bad('rate', error)]
  } finally {
    // Not under the caller's signal: an interrupted look leaves nothing behind either.
    await service.store.remove(keys).catch(() => {})
  }
}

async function signed(
  keys: readonly string[],
  requests: readonly ReturnType<ConnectedBox['reach']['sign']>[],
) {
  const found = await Promise.all(requests)
  return found.map(({headers, url}, number) => ({
    key: keys[number] ?? '',
    url,
    headers: {...headers},
  }))
}

/** What the worker makes of the same seed. */
function contentOf(seed: string, number: number): Uint8Array {
  return createHash('shake128', {outputLength: LENGTH}).update(`${seed} ${number}`).digest()
}

function shown(what: string, bytesPerSecond: number): Finding {
  const rate = `${formatBytes(bytesPerSecond)}/s between box and store, with ${STREAMS} connections`
  const hour = `a snapshot of 10 GB takes about ${(10e9 / Math.max(1, bytesPerSecond) / 3600).toFixed(1)} hours`
  return bytesPerSecond < SLOW
    ? note(what, `only ${rate}`, `${hour}: take a store nearer to the box, or save less`)
    : good(what, rate)
}
