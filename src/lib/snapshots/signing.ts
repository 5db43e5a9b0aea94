import {PACK_MAX} from '../format/chunk-record.js'
import {isExactly, isPinValue, samePin} from '../store/pin.js'
import type {Reach} from '../store/reach.js'
import type {Pin, PinKind, Store} from '../store/store.js'
import {offProtocol, type ObjectToSign} from '../worker/protocol.js'
import type {GrantedUrl} from '../worker/requests.js'
import type {SigningRecord} from './signing-record.js'

/** An object the worker may store in this run, and what it must be. */
export interface Allotted {
  readonly key: string
  readonly kind: ObjectToSign['kind']
  readonly length: number
  readonly pin: Pin
}

export interface SigningOptions {
  readonly snapshot: string
  readonly lineage: string
  readonly pin: PinKind
  readonly parts: number
  /** Parity objects for each group; absent: none. */
  readonly parity?: number
  readonly store: Store
  readonly reach: Reach
  readonly record: SigningRecord
}

/** Index, retries and what a progress message has not yet told: far more than they take. */
const ALLOWANCE = 1024 ** 3

/**
 * The operator's side of a create's uploads. It alone names keys, all below this snapshot; every URL is for one object of
 * known length and checksum; and no run signs much more than it has scanned. Whatever else is asked ends the run (WORKER).
 */
export class SigningDesk {
  readonly #options: SigningOptions
  readonly #allotted = new Map<string, Allotted>()
  /** Next sequence number by part. */
  readonly #next = new Map<number, number>()
  /** Where a key turned out to hold something else: the next attempt for the same object. */
  readonly #rejected = new Map<string, {readonly seq: number; readonly attempt: number}>()
  #segments = 0
  #outstanding = 0
  #signedBytes = 0
  #parityBytes = 0
  #scanned = 0

  constructor(options: SigningOptions) {
    this.#options = options
  }

  /** Everything that was signed, by key. */
  get allotted(): ReadonlyMap<string, Allotted> {
    return this.#allotted
  }

  /** Raw bytes the scan has found so far; the bound of what may be stored follows. */
  scanned(bytes: number): void {
    this.#scanned = Math.max(this.#scanned, bytes)
  }

  async sign(objects: readonly ObjectToSign[]): Promise<readonly GrantedUrl[]> {
    const {lineage, parts, reach, record, snapshot} = this.#options
    this.#outstanding += objects.length
    try {
      if (this.#outstanding > 2 * parts)
        throw offProtocol(`a request for more than ${2 * parts} uploads at once`)
      const granted = objects.map((object) => this.#grant(object))
      await record.append(
        snapshot,
        granted.map(({key, length, pin}) => ({key, length, pin, lineage})),
      )
      return await Promise.all(
        granted.map(async ({key, length, pin}) => {
          const {headers, url} = await reach.sign({method: 'PUT', key, length, pin})
          return {key, url, headers: {...headers}}
        }),
      )
    } finally {
      this.#outstanding -= objects.length
    }
  }

  /** Whether the store holds exactly what was signed for this key. */
  async settle(key: string, signal?: AbortSignal): Promise<boolean> {
    const object = this.#allotted.get(key)
    if (!object) throw offProtocol(`a question for an object it was not given: ${key}`)
    const stored = isExactly(await this.#options.store.head(key, signal), object.length, object.pin)
    const place = /\/\d+-(?<seq>\d+)-(?<attempt>\d+)$/.exec(key)?.groups
    if (!stored && place)
      this.#rejected.set(contentOf(object), {
        seq: Number(place['seq']),
        attempt: Number(place['attempt']) + 1,
      })
    return stored
  }

  #grant(object: ObjectToSign): Allotted {
    if (object.key !== undefined) return this.#again(object, object.key)
    this.#check(object)
    const key = this.#newKey(object)
    const allotted = {key, kind: object.kind, length: object.length, pin: object.pin}
    this.#count(object)
    this.#allotted.set(key, allotted)
    return allotted
  }

  #count({kind, length}: ObjectToSign): void {
    if (kind === 'parity') this.#parityBytes += length
    else this.#signedBytes += length
    if (this.#signedBytes > 1.1 * this.#scanned + ALLOWANCE)
      throw offProtocol('requests for far more bytes than there were to save')
    // None is longer than the longest of what it is made of.
    if (this.#parityBytes > (this.#options.parity ?? 0) * this.#signedBytes)
      throw offProtocol('requests for more parity than was asked for')
  }

  /** A URL that expired: the same object, or nothing. */
  #again(object: ObjectToSign, key: string): Allotted {
    const known = this.#allotted.get(key)
    if (
      !known ||
      known.kind !== object.kind ||
      known.length !== object.length ||
      !samePin(known.pin, object.pin)
    )
      throw offProtocol(`a request to store something else under ${key}`)
    return known
  }

  #check({kind, length, part, pin}: ObjectToSign): void {
    if (length < 1 || length > PACK_MAX)
      throw offProtocol(`a request to store an object of ${length} bytes`)
    if (pin.kind !== this.#options.pin || !isPinValue(pin.kind, pin.value))
      throw offProtocol('a request to store an object without this store’s checksum')
    if (hasPart(kind) && part >= this.#options.parts) throw offProtocol(`a ${kind} of part ${part}`)
  }

  #newKey(object: ObjectToSign): string {
    const {snapshot} = this.#options
    if (object.kind === 'segment') return `index/${snapshot}/${this.#segments++}`
    if (!hasPart(object.kind)) {
      const key = `index/${snapshot}/${object.kind}`
      if (this.#allotted.has(key)) throw offProtocol(`a second list of ${object.kind}`)
      return key
    }
    const folder = object.kind === 'pack' ? 'packs' : 'parity'
    const content = contentOf(object)
    const retry = this.#rejected.get(content)
    this.#rejected.delete(content)
    const seq = retry?.seq ?? this.#next.get(object.part) ?? 0
    if (!retry) this.#next.set(object.part, seq + 1)
    return `${folder}/${snapshot}/${object.part}-${seq}-${retry?.attempt ?? 1}`
  }
}

/** Whether each part has its own, numbered. */
function hasPart(kind: ObjectToSign['kind']): boolean {
  return kind === 'pack' || kind === 'parity'
}

/** Tells uploads of the same bytes apart from others, without the key. */
function contentOf({kind, length, pin}: Omit<Allotted, 'key'>): string {
  return `${kind} ${length} ${pin.kind} ${pin.value}`
}
