import {createHash} from 'node:crypto'
import {crc32} from 'node:zlib'
import type {ObjectInfo, Pin, PinKind} from './store.js'

/** A checksum over bytes that arrive piece by piece. */
export interface PinHasher {
  update(bytes: Uint8Array): void
  pin(): Pin
}

export function startPin(kind: PinKind): PinHasher {
  return kind === 'crc32' ? new Crc32Hasher() : new Md5Hasher()
}

export function pinOf(kind: PinKind, bytes: Uint8Array): Pin {
  const hasher = startPin(kind)
  hasher.update(bytes)
  return hasher.pin()
}

export function samePin(one: Pin, other: Pin): boolean {
  return one.kind === other.kind && one.value === other.value
}

/**
 * Whether the store vouches that it holds exactly these bytes. Absence of proof is a no: an object without a checksum of the
 * asked kind, a listing entry or an absent object never counts.
 */
export function isExactly(info: ObjectInfo | undefined, length: number, pin: Pin): boolean {
  return (
    info !== undefined &&
    info.length === length &&
    (info.pins ?? []).some((own) => samePin(own, pin))
  )
}

/** 4 bytes big-endian or 16 bytes, in canonical base64. */
export function isPinValue(kind: PinKind, value: string): boolean {
  const bytes = Buffer.from(value, 'base64')
  return bytes.length === (kind === 'crc32' ? 4 : 16) && bytes.toString('base64') === value
}

class Crc32Hasher implements PinHasher {
  #value = 0

  update(bytes: Uint8Array): void {
    this.#value = crc32(bytes, this.#value)
  }

  pin(): Pin {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(this.#value)
    return {kind: 'crc32', value: bytes.toString('base64')}
  }
}

class Md5Hasher implements PinHasher {
  readonly #hash = createHash('md5')

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  pin(): Pin {
    return {kind: 'md5', value: this.#hash.copy().digest('base64')}
  }
}
