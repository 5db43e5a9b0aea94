import {displayBytes, fromByteString, type ByteString} from '../format/byte-string.js'

/** Paths of the box are Latin-1 text inside a receipt's making: one character a byte, so that nothing is lost. */
export function placeOf(path: ByteString | Uint8Array): string {
  const bytes = path instanceof Uint8Array ? path : fromByteString(path)
  return Buffer.from(bytes).toString('latin1')
}

export function shownPlace(place: string): string {
  return displayBytes(Buffer.from(place, 'latin1'), 4096)
}

export function isAtOrBelow(place: string, directory: string): boolean {
  if (place === directory) return true
  return place.startsWith(directory.endsWith('/') ? directory : `${directory}/`)
}

export function joined(directory: string, name: string): string {
  if (name === '') return directory
  return directory.endsWith('/') ? directory + name : `${directory}/${name}`
}

/** A pattern of `find -path` that matches only this path. */
export function findPattern(place: string): string {
  return Buffer.from(place.replaceAll(/[*?[\]\\]/g, String.raw`\$&`), 'latin1').toString('utf8')
}

/** A path as an argument. Bytes that are no UTF-8 cannot be given: the tool then misses the path and says so. */
export function findArgument(place: string): string {
  return Buffer.from(place, 'latin1').toString('utf8')
}
