import {hash} from './entry.js'
import {type Fields, isFields, wholeNumber} from './fields.js'
import {damaged} from './integrity.js'

export const TRANSFORMS = ['none', 'planes2', 'planes4', 'planes2of4'] as const
export const CODECS = ['none', 'zstd', 'ans'] as const
export const DELTAS = ['none', 'xor', 'ordered'] as const
export const CHUNK_MAX = 4_194_304
export const PACK_MAX = 33_554_432

export type Transform = (typeof TRANSFORMS)[number]
export type Codec = (typeof CODECS)[number]
export type DeltaOperation = Exclude<(typeof DELTAS)[number], 'none'>

/** Where a chunk's frame lies and how it is coded; hashes in hexadecimal, lengths in bytes. */
export interface ChunkRecord {
  readonly chunk: number
  readonly rawHash: string
  readonly rawLength: number
  /** Number in the list of packs. */
  readonly pack: number
  readonly at: number
  readonly stored: number
  readonly frameHash: string
  readonly transform: Transform
  readonly codec: Codec
  readonly delta: {readonly operation: DeltaOperation; readonly base: number} | undefined
}

/** The record of a chunk line; INTEGRITY for every value that format 1 forbids. */
export function decodeChunkRecord(line: Fields): ChunkRecord {
  const record: ChunkRecord = {
    chunk: wholeNumber(line, 'chunk'),
    rawHash: hash(line['hash']),
    rawLength: wholeNumber(line, 'raw', CHUNK_MAX),
    pack: wholeNumber(line, 'pack'),
    at: wholeNumber(line, 'at', PACK_MAX),
    stored: wholeNumber(line, 'stored', PACK_MAX),
    frameHash: hash(line['frame']),
    transform: oneOf(TRANSFORMS, line['transform']),
    codec: oneOf(CODECS, line['codec']),
    delta: 'delta' in line ? delta(line['delta']) : undefined,
  }
  // A frame is a header and at least one byte, but never more payload than raw bytes; a tag follows where it is sealed.
  const {at, rawLength, stored} = record
  if (rawLength < 1 || stored < 57 || stored > rawLength + 104 || at + stored > PACK_MAX)
    throw damaged('a chunk of impossible length or place')
  if (record.delta && record.delta.base >= record.chunk)
    throw damaged("a delta's base does not stand before it")
  if (record.delta?.operation === 'ordered' && record.transform === 'none')
    throw damaged('a difference of numbers without their width')
  return record
}

/** What must be undone to read the chunk. */
export function decodersOf({codec, delta: change, transform}: ChunkRecord): string[] {
  return [transform, codec, change?.operation ?? 'none'].filter((name) => name !== 'none')
}

function delta(value: unknown): NonNullable<ChunkRecord['delta']> {
  if (!isFields(value)) throw damaged('a delta is not an object')
  const operation = oneOf(DELTAS, value['op'])
  if (operation === 'none') throw damaged('an unknown delta')
  return {operation, base: wholeNumber(value, 'base')}
}

function oneOf<T extends string>(names: readonly T[], value: unknown): T {
  const found = names.find((name) => name === value)
  if (found === undefined) throw damaged('a chunk with an unknown transform, codec or delta')
  return found
}
