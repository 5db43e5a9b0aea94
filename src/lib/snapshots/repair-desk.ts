import {PACK_MAX} from '../format/chunk-record.js'
import type {StoredObject} from '../format/group-list.js'
import {DumontError} from '../errors.js'
import type {Report} from '../progress/events.js'
import {isExactly, pinOf, samePin} from '../store/pin.js'
import type {Reach} from '../store/reach.js'
import type {Store} from '../store/store.js'
import {offProtocol, type ObjectToSign} from '../worker/protocol.js'
import type {GrantedUrl} from '../worker/requests.js'

const PUT_BACK_MS = 120_000
/** Objects of at most 32 MiB each whose successors are on their way. */
const MOST_REMOVED = 8
const KINDS: Readonly<Record<string, ObjectToSign['kind']>> = {packs: 'pack', parity: 'parity'}

export interface RepairOptions {
  readonly store: Store
  readonly reach: Reach
  readonly report: Report
  /** What may be made again, by key. */
  readonly lost: ReadonlyMap<string, StoredObject>
}

/**
 * The operator's side of a repair's uploads: URLs for objects that are lost, and for no other bytes than those. What lies there
 * damaged is removed right before, on this machine's own evidence, and put back if nothing comes in its place.
 */
export class RepairDesk {
  readonly #options: RepairOptions
  /** What was removed, as it was. */
  readonly #removed = new Map<string, Uint8Array>()

  constructor(options: RepairOptions) {
    this.#options = options
  }

  async sign(
    objects: readonly ObjectToSign[],
    signal?: AbortSignal,
  ): Promise<readonly GrantedUrl[]> {
    const granted: GrantedUrl[] = []
    for (const object of objects) {
      const {key, length, pin} = this.#known(object)
      await this.#clear({key, length, pin}, signal)
      const {headers, url} = await this.#options.reach.sign({method: 'PUT', key, length, pin})
      granted.push({key, url, headers: {...headers}})
    }
    return granted
  }

  /** Whether the store holds exactly what this key is to hold. */
  async settle(key: string, signal?: AbortSignal): Promise<boolean> {
    const object = this.#options.lost.get(key)
    if (!object) throw offProtocol(`a question for an object it was not given: ${key}`)
    return isExactly(await this.#options.store.head(key, signal), object.length, object.pin)
  }

  /** Part of a damaged pack is worth more than nothing. Not under the caller's signal, which may be what ended the repair. */
  async putBack(): Promise<void> {
    for (const [key, bytes] of this.#removed)
      await this.#putBack(key, bytes).catch((error: unknown) =>
        this.#options.report({
          kind: 'warning',
          code: 'put-back',
          message: `${key}, damaged, could not be put back: ${error instanceof Error ? error.message : String(error)}`,
        }),
      )
    this.#removed.clear()
  }

  async #putBack(key: string, bytes: Uint8Array): Promise<void> {
    const {report, store} = this.#options
    const signal = AbortSignal.timeout(PUT_BACK_MS)
    if (await store.head(key, signal)) return
    await store.put(key, bytes, {}, signal)
    report({kind: 'note', message: `${key} was put back as it was, damaged`})
  }

  #known({key = '', kind, length, pin}: ObjectToSign): StoredObject {
    const known = this.#options.lost.get(key)
    if (!known) throw offProtocol(`a request to store ${key}, which is not lost`)
    const isSame = known.length === length && samePin(known.pin, pin) && kindOf(key) === kind
    if (!isSame) throw offProtocol(`a request to store something else under ${key}`)
    return known
  }

  async #clear({key, length, pin}: StoredObject, signal?: AbortSignal): Promise<void> {
    const {store} = this.#options
    const info = await store.head(key, signal)
    if (!info) return
    // More than any object has would be nothing that somebody misses.
    const bytes =
      info.length <= PACK_MAX
        ? await store.get(key, {limit: info.length}, signal)
        : new Uint8Array(0)
    if (bytes.length === length && samePin(pinOf(pin.kind, bytes), pin))
      throw new DumontError('STORE_BUSY', `${key} is whole again, and was left alone`, {
        hint: 'does somebody else repair it? run the command again',
        retry: 'now',
      })
    await this.#release(signal)
    await store.remove([key], signal)
    if (bytes.length > 0) this.#removed.set(key, bytes)
  }

  /** Forgets what has its successor; a box that stores none must not have everything removed, nor fill the memory here. */
  async #release(signal?: AbortSignal): Promise<void> {
    for (const key of this.#removed.keys())
      if (await this.settle(key, signal)) this.#removed.delete(key)
    if (this.#removed.size >= MOST_REMOVED)
      throw offProtocol(`a request for more than ${MOST_REMOVED} uploads that it does not end`)
  }
}

function kindOf(key: string): ObjectToSign['kind'] {
  const folder = key.slice(0, key.indexOf('/'))
  return KINDS[folder] ?? (key.endsWith('/packs') ? 'packs' : 'segment')
}
