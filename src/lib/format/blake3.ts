import type {IHasher} from 'hash-wasm'

/** Synchronous BLAKE3-256; one shared instance, so a hash is begun and ended without waiting in between. */
export interface Blake3 {
  hex(bytes: Uint8Array): string
  bytes(bytes: Uint8Array): Uint8Array
}

let shared: Promise<Blake3> | undefined

/** Loads the WebAssembly at first use. */
export function loadBlake3(): Promise<Blake3> {
  shared ??= newHasher().then((hasher) => ({
    hex: (bytes) => hasher.init().update(bytes).digest('hex'),
    bytes: (bytes) => hasher.init().update(bytes).digest('binary'),
  }))
  return shared
}

/** A hasher of one's own, for bytes that arrive piece by piece. */
export async function newHasher(): Promise<IHasher> {
  const {createBLAKE3} = await import('hash-wasm')
  return createBLAKE3()
}
