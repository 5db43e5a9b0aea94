import {PACK_MAX} from './chunk-record.js'
import {isFields, wholeNumber, type Fields} from './fields.js'
import {at, damaged} from './integrity.js'
import {readJsonLines} from './json-lines.js'
import {fromBase64} from './byte-string.js'
import {sealIn} from './seal.js'

/** One object that holds chunks, and the checksum its store vouched for. */
export interface PackRecord {
  readonly key: string
  readonly length: number
  readonly pin: {readonly kind: 'crc32' | 'md5'; /** base64 */ readonly value: string}
  /** Base64; in a sealed store. */
  readonly seal?: string
}

const KEY = /^packs\/\d{8}T\d{6}Z-[a-z2-7]{6}\/\d+-\d+-[A-Za-z0-9]+$/
const PIN_BYTES = {crc32: 4, md5: 16}

/** Reads `index/<snapshot>/packs`; INTEGRITY or FORMAT_NEWER, naming the object. */
export async function parsePackList(object: Uint8Array, snapshot: string): Promise<PackRecord[]> {
  try {
    const {lines} = await readJsonLines(object, 'packs', snapshot)
    const packs = Array.from(lines, packRecord)
    if (new Set(packs.map(({key}) => key)).size !== packs.length) throw damaged('a pack twice')
    return packs
  } catch (error) {
    throw at(`index/${snapshot}/packs`, error)
  }
}

function packRecord(line: Fields, number: number): PackRecord {
  const {key} = line
  if (line['pack'] !== number) throw damaged('pack numbers jump')
  if (typeof key !== 'string' || !KEY.test(key)) throw damaged("not a pack's key")
  const length = wholeNumber(line, 'length', PACK_MAX)
  if (length === 0) throw damaged('an empty pack')
  return {key, length, pin: pinIn(line), ...sealIn(line)}
}

/** The checksum that a line names; INTEGRITY for what cannot be one. */
export function pinIn({pin: value}: Fields): PackRecord['pin'] {
  if (!isFields(value)) throw damaged('an object without checksum')
  const kind = value['kind']
  if (kind !== 'crc32' && kind !== 'md5') throw damaged('a checksum of unknown kind')
  const bytes = fromBase64(value['value'])
  if (bytes.length !== PIN_BYTES[kind]) throw damaged('a checksum of another length')
  return {kind, value: bytes.toString('base64')}
}
