import type {Pin} from './store.js'

/** What the gateway needs of a store: bodies as streams, so that its memory stays bounded. */
export interface Shelf {
  /** Takes a body of exactly `length` bytes; nothing is visible before the last of them is checked. */
  receive(
    key: string,
    body: AsyncIterable<Uint8Array>,
    expected: Expected,
    signal?: AbortSignal,
  ): Promise<Received>
  /** Bytes of an object; undefined when absent. */
  lengthOf(key: string): Promise<number | undefined>
  /** The bytes first…last, both inclusive, of an object that is there. */
  send(key: string, first: number, last: number): AsyncIterable<Uint8Array>
}

export interface Expected {
  readonly length: number
  readonly pin: Pin
}

/** `damaged`: other bytes than pinned arrived, `cut`: another number of bytes. */
export type Received = 'created' | 'cut' | 'damaged' | 'exists'
