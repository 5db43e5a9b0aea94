import type {DeltaOperation, Transform} from './chunk-record.js'
import {damaged} from './integrity.js'

interface Difference {
  readonly change: Uint8Array
  readonly base: Uint8Array
  readonly operation: DeltaOperation
  readonly transform: Transform
}

/** Bytes of the words that a difference was taken of. */
const WORD = {none: 1, planes2: 2, planes4: 4, planes2of4: 4} as const

/** The chunk that differs from `base`, which has its length, by `change`; INTEGRITY. */
export function undoDifference({base, change, operation, transform}: Difference): Uint8Array {
  if (base.length !== change.length) throw damaged('a difference of another length than its base')
  const width = WORD[transform]
  const raw = Uint8Array.from(change)
  const end = raw.length - (raw.length % width)
  if (operation === 'xor') {
    // Each byte for itself, so the order of bytes in a word is of no importance; the tail stays.
    for (let at = 0; at < end; at++) raw[at] = (change[at] ?? 0) ^ (base[at] ?? 0)
    return raw
  }
  if (width === 1) throw damaged('a difference of numbers without their width')
  const [words, others] = [viewOf(raw), viewOf(base)]
  if (width === 2)
    for (let at = 0; at < end; at += 2)
      words.setUint16(at, sum16(words.getUint16(at, true), others.getUint16(at, true)), true)
  else
    for (let at = 0; at < end; at += 4)
      words.setInt32(at, sum32(words.getInt32(at, true), others.getInt32(at, true)), true)
  return raw
}

function sum16(change: number, base: number): number {
  return flip16((flip16(change) + flip16(base)) & 0xff_ff)
}

/** Turns the bits of a float into its place among all floats, and back: all but the sign flip where it is set. */
function flip16(word: number): number {
  return (word & 0x80_00) === 0 ? word : word ^ 0x7f_ff
}

function sum32(change: number, base: number): number {
  return flip32((flip32(change) + flip32(base)) | 0)
}

function flip32(word: number): number {
  return word < 0 ? word ^ 0x7f_ff_ff_ff : word
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}
