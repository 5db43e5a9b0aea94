import type {Duplex} from 'node:stream'
import type {StoreKeys} from '../seal/store-keys.js'

/** What a store is told to insist on for one PUT: exactly these bytes, once. */
export type Pin = {
  readonly kind: 'crc32' | 'md5'
  /** base64, big-endian for crc32 */ readonly value: string
}

/** How the store was found to honour pins; recorded in dumont.json at first use. */
export type PinKind = Pin['kind']

export interface ObjectInfo {
  readonly key: string
  /** Bytes. */
  readonly length: number
  /** Milliseconds since the epoch by the store's clock. */
  readonly modified: number
  /** Checksums the store itself vouches for; absent when it only knows the size (listing). Compare with `isExactly`. */
  readonly pins?: readonly Pin[]
}

/** One HTTP request the box may make without holding any credential. Headers must be sent byte for byte. */
export interface SignedRequest {
  readonly method: 'GET' | 'PUT'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

export interface PutOptions {
  /** Create only; an existing object makes the outcome `exists`. Default true: objects are immutable. */
  readonly onlyIfAbsent?: boolean
}

/**
 * Objects under one prefix: created once, never overwritten. Keys are relative to the prefix, `/`-separated,
 * of `[A-Za-z0-9._-]` segments. Every method rejects with a DumontError and honours the signal.
 */
export interface Store {
  /** How users name it: `file:///…` or `s3://bucket/prefix`. Holds no secret. */
  readonly url: string
  /** How requests of the box reach it: straight, or through a tunnel to the operator's machine. */
  readonly reach: 'direct' | 'tunnel'
  /** Its unlocked keys; absent in a store that has none. */
  readonly keys?: StoreKeys
  /** 'exists' when the key was there already (412/409); the caller settles by looking. */
  put(
    key: string,
    body: Uint8Array,
    options?: PutOptions,
    signal?: AbortSignal,
  ): Promise<'created' | 'exists'>
  /** Rejects with `code: 'INTEGRITY'` when absent. `range` is [first, last] inclusive bytes. */
  get(key: string, options?: GetOptions, signal?: AbortSignal): Promise<Uint8Array>
  /** Undefined when absent. Includes the pin where the store knows one. */
  head(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined>
  /** All objects whose key starts with the prefix, in key order, paged lazily. */
  list(prefix: string, signal?: AbortSignal): AsyncIterable<ObjectInfo>
  /** Absent keys are no error. */
  remove(keys: readonly string[], signal?: AbortSignal): Promise<void>
  /** Serves signed requests of a `tunnel` store; absent when boxes reach the store straight. See `openReach`. */
  readonly gateway?: Gateway
  /**
   * A PUT of exactly `length` bytes with this checksum, write-once, or a GET of one object; ≤ 15 minutes.
   * A tunnel store answers with a URL for this machine (its gateway then listens on the loopback); boxes use `openReach`.
   */
  sign(request: SignRequest): Promise<SignedRequest>
  /** The store's own clock (its `Date`), milliseconds since the epoch. */
  now(signal?: AbortSignal): Promise<number>
  /** Whether something removes or freezes what lies here although nobody asked dumont; absent where nothing is there to ask. */
  endurance?(signal?: AbortSignal): Promise<Endurance>
  /** Releases sockets and gateways. */
  close(): Promise<void>
}

/** What a bucket's own rules do to the objects under the prefix, and who serves it. */
export type Endurance = {
  /** Name or address of the server; absent for AWS itself. */
  readonly host?: string
} & (
  | {readonly kind: 'kept'}
  | {readonly kind: 'expires'; /** For showing. */ readonly rules: readonly string[]}
  | {readonly kind: 'unreadable'; /** For showing. */ readonly reason: string}
)

/** The HTTP door of a tunnel store. Nothing listens unless `listen` is called. */
export interface Gateway {
  /** Serves one connection that arrived by whatever way: an SSH channel, a socket. */
  handle(connection: Duplex): void
  /** Port on this machine's 127.0.0.1; further calls answer the same. */
  listen(): Promise<number>
  /** A signed request for whoever reaches this gateway at `http://127.0.0.1:<port>`. */
  sign(request: SignRequest, port: number): SignedRequest
  close(): Promise<void>
}

export interface GetOptions {
  readonly range?: readonly [number, number]
  /** Upper bound of bytes accepted; more is an INTEGRITY error. */
  readonly limit?: number
}

export type SignRequest =
  | {
      readonly method: 'GET'
      readonly key: string
      /** Default and most: 900. */ readonly seconds?: number
    }
  | {
      readonly method: 'PUT'
      readonly key: string
      readonly length: number
      readonly pin: Pin
      readonly seconds?: number
    }
