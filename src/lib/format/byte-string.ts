import {isUtf8} from 'node:buffer'
import {untrusted} from '../untrusted.js'
import {damaged} from './integrity.js'

/** Bytes in JSON: text where they are valid UTF-8, else base64. */
export type ByteString = string | {readonly b64: string}

export function toByteString(bytes: Uint8Array): ByteString {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  return isUtf8(buffer) ? buffer.toString('utf8') : {b64: buffer.toString('base64')}
}

/** The bytes of a JSON value; INTEGRITY for what is no byte string or holds NUL. */
export function fromByteString(value: unknown): Buffer {
  const bytes = typeof value === 'string' ? utf8(value) : fromBase64(only(value))
  if (bytes.includes(0)) throw damaged('a byte string holds NUL')
  return bytes
}

/** Decodes canonical standard base64; INTEGRITY for anything else. */
export function fromBase64(value: unknown): Buffer {
  if (typeof value === 'string') {
    const bytes = Buffer.from(value, 'base64')
    if (bytes.toString('base64') === value) return bytes
  }
  throw damaged('not canonical base64')
}

/** For people: control characters and bytes that are not UTF-8 become visible escapes. */
export function displayBytes(bytes: Uint8Array, limit?: number): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if (isUtf8(buffer)) return untrusted(buffer.toString('utf8'), limit)
  // Latin-1 keeps one character a byte, so that every strange byte can be shown by its value.
  const shown = buffer
    .toString('latin1')
    .replaceAll(/[\u0080-\u00FF]/gu, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`)
  return untrusted(shown, limit)
}

/** `displayBytes` of a byte string as it stands in JSON. */
export function displayByteString(value: ByteString, limit?: number): string {
  return typeof value === 'string'
    ? untrusted(value, limit)
    : displayBytes(Buffer.from(value.b64, 'base64'), limit)
}

function utf8(text: string): Buffer {
  // JSON can hold half a surrogate pair, which no UTF-8 can.
  if (/\p{Surrogate}/u.test(text)) throw damaged('a byte string holds half a surrogate pair')
  return Buffer.from(text, 'utf8')
}

function only(value: unknown): unknown {
  if (
    typeof value === 'object' &&
    value !== null &&
    Object.keys(value).length === 1 &&
    'b64' in value
  )
    return value.b64
  throw damaged('not a byte string')
}
