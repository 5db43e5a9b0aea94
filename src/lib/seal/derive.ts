import {hkdfSync} from 'node:crypto'

const NOTHING = new Uint8Array()

/** A key and what proves, before anything is decrypted, that it is the one. */
export interface Committed {
  readonly key: Buffer
  readonly commitment: Buffer
}

/** What seals the objects of one run; 32 bytes. */
export function runSecret(master: Uint8Array, salt: Uint8Array, repository: Uint8Array): Buffer {
  return hkdf(master, salt, Buffer.concat([Buffer.from('dumont run 1'), repository]), 32)
}

/** `kind` is the number in the object's header. */
export function objectKey(run: Uint8Array, salt: Uint8Array, kind: number): Committed {
  return committed(hkdf(run, salt, Buffer.from([...Buffer.from('dumont object 1'), kind]), 64))
}

export function slotKey(secret: Uint8Array, salt: Uint8Array): Committed {
  return committed(hkdf(secret, salt, Buffer.from('dumont slot 1'), 64))
}

export function macKey(master: Uint8Array, repository: Uint8Array): Buffer {
  return hkdf(master, NOTHING, Buffer.concat([Buffer.from('dumont mac 1'), repository]), 32)
}

function committed(both: Buffer): Committed {
  return {key: both.subarray(0, 32), commitment: both.subarray(32)}
}

function hkdf(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, info, length))
}
