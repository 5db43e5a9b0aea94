import type {Clock} from '../../../src/lib/clock.js'
import {throwIfInterrupted} from '../../../src/lib/store/interruption.js'
import {MemoryStore} from '../../../src/lib/store/memory-store.js'
import type {
  GetOptions,
  ObjectInfo,
  PutOptions,
  SignedRequest,
  SignRequest,
  Store,
} from '../../../src/lib/store/store.js'

export type Operation = 'get' | 'head' | 'list' | 'put' | 'remove'

/** A memory store that tells the test of every operation before it happens, and lets it fail or interfere. */
export class WatchedStore implements Store {
  readonly url = 'memory:'
  readonly reach = 'direct'
  readonly inner: MemoryStore
  /** `<operation> <key>` in order. */
  readonly log: string[] = []
  /** Runs before an operation; what it throws is what the operation rejects with. */
  before: (operation: Operation, key: string) => Promise<void> | void = () => {}
  /** Runs after an operation whose outcome is known. */
  after: (operation: Operation, key: string) => Promise<void> | void = () => {}
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
    this.inner = new MemoryStore({clock})
  }

  async put(key: string, body: Uint8Array, options?: PutOptions, signal?: AbortSignal) {
    await this.#watch('put', key, signal)
    const outcome = await this.inner.put(key, body, options)
    await this.after('put', key)
    return outcome
  }

  async get(key: string, options?: GetOptions, signal?: AbortSignal) {
    await this.#watch('get', key, signal)
    const bytes = await this.inner.get(key, options)
    await this.after('get', key)
    return bytes
  }

  async head(key: string, signal?: AbortSignal) {
    await this.#watch('head', key, signal)
    const info = await this.inner.head(key)
    await this.after('head', key)
    return info
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectInfo, void> {
    await this.#watch('list', prefix, signal)
    yield* this.inner.list(prefix)
    await this.after('list', prefix)
  }

  async remove(keys: readonly string[], signal?: AbortSignal) {
    for (const key of keys) await this.#watch('remove', key, signal)
    await this.inner.remove(keys)
  }

  async sign({key, method}: SignRequest): Promise<SignedRequest> {
    return {method, url: `https://store.invalid/${key}`, headers: {}}
  }

  async now() {
    return this.#clock.now()
  }

  async close() {
    await this.inner.close()
  }

  async keysBelow(prefix = ''): Promise<string[]> {
    const keys: string[] = []
    for await (const {key} of this.inner.list(prefix)) keys.push(key)
    return keys
  }

  async #watch(operation: Operation, key: string, signal?: AbortSignal): Promise<void> {
    this.log.push(`${operation} ${key}`)
    await this.before(operation, key)
    throwIfInterrupted(signal)
  }
}
