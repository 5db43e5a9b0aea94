import {randomBytes} from 'node:crypto'
import {objectKey} from '../../src/lib/seal/derive.js'
import {
  HEADER_LENGTH,
  kindNumber,
  objectHeader,
  openRecord,
  parseHeader,
  sealOf,
  sealRecord,
} from '../../src/lib/seal/sealed-object.js'
import type {SealedKind} from '../../src/lib/seal/store-keys.js'

/** A seal as it is on the wire: base64. */
export interface WireSeal {
  readonly header: string
  readonly secret: string
}

/** What a box makes of pieces that become one record each, with what it was given for its run. */
export function sealedByBox(
  run: WireSeal,
  kind: SealedKind,
  pieces: readonly Uint8Array[],
): {readonly bytes: Buffer; readonly seal: string} {
  const salt = randomBytes(32)
  const number = kindNumber(kind)
  const {commitment, key} = objectKey(Buffer.from(run.secret, 'base64'), salt, number)
  const header = objectHeader(Buffer.from(run.header, 'base64'), number, salt, commitment)
  const parts = [header.bytes]
  let at = HEADER_LENGTH
  for (const piece of pieces) {
    const record = sealRecord(header, key, piece, {at})
    parts.push(record)
    at += record.length
  }
  return {bytes: Buffer.concat(parts), seal: sealOf(header)}
}

/** The one record of an object, with what a box was given to read it. */
export function openedByBox(wire: WireSeal, kind: SealedKind, bytes: Uint8Array): Buffer {
  const granted = Buffer.from(wire.header, 'base64')
  const header = parseHeader(granted, kind, granted.subarray(8, 24))
  const committed = {
    key: Buffer.from(wire.secret, 'base64'),
    commitment: Buffer.from(bytes.subarray(96, HEADER_LENGTH)),
  }
  return openRecord(header, committed, bytes.subarray(HEADER_LENGTH))
}
