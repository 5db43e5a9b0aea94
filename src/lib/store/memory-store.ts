import type {Clock} from '../clock.js'
import {absent, collect, GET_LIMIT, span, tooLong} from './collect.js'
import {createGateway} from './gateway.js'
import {throwIfInterrupted} from './interruption.js'
import {assertKey, assertPrefix} from './keys.js'
import {pinOf, samePin} from './pin.js'
import type {Expected, Received, Shelf} from './shelf.js'
import type {
  Gateway,
  GetOptions,
  ObjectInfo,
  PutOptions,
  SignedRequest,
  SignRequest,
  Store,
} from './store.js'

interface Held {
  readonly bytes: Uint8Array
  readonly modified: number
}

/** A store that ends with the process: for tests, and for trying things out. */
export class MemoryStore implements Store, Shelf {
  readonly url = 'memory:'
  readonly reach = 'tunnel'
  readonly gateway: Gateway
  readonly #clock: Clock
  readonly #objects = new Map<string, Held>()

  constructor({clock}: {readonly clock: Clock}) {
    this.#clock = clock
    this.gateway = createGateway(this, {clock})
  }

  async put(
    key: string,
    body: Uint8Array,
    {onlyIfAbsent = true}: PutOptions = {},
    signal?: AbortSignal,
  ) {
    throwIfInterrupted(signal)
    assertKey(key)
    if (onlyIfAbsent && this.#objects.has(key)) return 'exists'
    this.#objects.set(key, {bytes: Uint8Array.from(body), modified: this.#clock.now()})
    return 'created'
  }

  async get(
    key: string,
    {range, limit = GET_LIMIT}: GetOptions = {},
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    throwIfInterrupted(signal)
    assertKey(key)
    const held = this.#objects.get(key)
    if (!held) throw absent(key)
    const {first, last} = span(key, held.bytes.length, range)
    if (last - first + 1 > limit) throw tooLong(key, limit)
    return held.bytes.slice(first, last + 1)
  }

  async head(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    throwIfInterrupted(signal)
    assertKey(key)
    const held = this.#objects.get(key)
    return (
      held && {...describe(key, held), pins: [pinOf('crc32', held.bytes), pinOf('md5', held.bytes)]}
    )
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectInfo, void> {
    assertPrefix(prefix)
    for (const key of [...this.#objects.keys()]
      .filter((candidate) => candidate.startsWith(prefix))
      .toSorted(byBytes)) {
      throwIfInterrupted(signal)
      const held = this.#objects.get(key)
      if (held) yield describe(key, held)
    }
  }

  async remove(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    throwIfInterrupted(signal)
    for (const key of keys) assertKey(key)
    for (const key of keys) this.#objects.delete(key)
  }

  async sign(request: SignRequest): Promise<SignedRequest> {
    assertKey(request.key)
    return this.gateway.sign(request, await this.gateway.listen())
  }

  async now(signal?: AbortSignal): Promise<number> {
    throwIfInterrupted(signal)
    return this.#clock.now()
  }

  close(): Promise<void> {
    return this.gateway.close()
  }

  async receive(
    key: string,
    body: AsyncIterable<Uint8Array>,
    {length, pin}: Expected,
  ): Promise<Received> {
    const bytes = await collect(key, body)
    if (bytes.length !== length) return 'cut'
    if (!samePin(pinOf(pin.kind, bytes), pin)) return 'damaged'
    return this.put(key, bytes)
  }

  async lengthOf(key: string): Promise<number | undefined> {
    return this.#objects.get(key)?.bytes.length
  }

  async *send(key: string, first: number, last: number): AsyncGenerator<Uint8Array, void> {
    yield await this.get(key, {range: [first, last]})
  }
}

function describe(key: string, {bytes, modified}: Held): ObjectInfo {
  return {key, length: bytes.length, modified}
}

/** Keys are ASCII, where code units and bytes have one order. */
function byBytes(one: string, other: string): number {
  return one < other ? -1 : 1
}
