import type {Pin, PinKind} from './store.js'

/** A leaked URL is worthless after a quarter of an hour; what takes longer asks for a fresh one. */
export const URL_SECONDS = 900

export const PIN_HEADERS: Readonly<Record<PinKind, string>> = {
  crc32: 'x-amz-checksum-crc32',
  md5: 'content-md5',
}

/** Headers that pin a PUT to these bytes, written once; whoever sends it must send them byte for byte. */
export function pinHeaders(expected: {
  readonly length: number
  readonly pin: Pin
}): Record<string, string> {
  return {
    'content-length': String(expected.length),
    'if-none-match': '*',
    [PIN_HEADERS[expected.pin.kind]]: expected.pin.value,
  }
}
