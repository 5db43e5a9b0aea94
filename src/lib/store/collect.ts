import {DumontError} from '../errors.js'

/** Default bound of one object read into memory; the largest pack is 32 MiB. */
export const GET_LIMIT = 64 * 1024 * 1024

/** Joins a body; stops reading and rejects (INTEGRITY) as soon as it is longer than `limit` bytes. */
export async function collect(
  name: string,
  body: AsyncIterable<Uint8Array>,
  limit = GET_LIMIT,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of body) {
    length += piece.length
    if (length > limit) throw tooLong(name, limit)
    pieces.push(piece)
  }
  return Buffer.concat(pieces, length)
}

export function tooLong(name: string, limit: number): DumontError {
  return new DumontError('INTEGRITY', `${name} is longer than the ${limit} bytes it may have`)
}

export function absent(name: string): DumontError {
  return new DumontError('INTEGRITY', `${name} is not in the store`)
}

/** `range` as [first, last] within `length`; INTEGRITY when it begins behind the end. */
export function span(
  name: string,
  length: number,
  range: readonly [number, number] | undefined,
): {first: number; last: number} {
  if (!range) return {first: 0, last: length - 1}
  const [first, last] = range
  if (!(Number.isSafeInteger(first) && Number.isSafeInteger(last) && first >= 0 && last >= first))
    throw new RangeError(`not a range: ${first}-${last}`)
  if (first >= length)
    throw new DumontError('INTEGRITY', `${name} has ${length} bytes, none at ${first}`)
  return {first, last: Math.min(last, length - 1)}
}
