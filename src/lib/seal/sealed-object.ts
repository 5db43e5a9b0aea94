import {timingSafeEqual} from 'node:crypto'
import {DumontError} from '../errors.js'
import {bytesOfBase64} from './base64.js'
import type {Committed} from './derive.js'
import {decrypt, encrypt} from './gcm.js'
import type {OwnKind, SealedKind} from './store-keys.js'

/** Bytes before the first record. */
export const HEADER_LENGTH = 128

const KINDS: Readonly<Record<OwnKind | SealedKind, number>> = {
  pack: 1,
  segment: 2,
  packs: 3,
  manifest: 4,
  record: 5,
  groups: 6,
}
const MAGIC = Buffer.from('dmtS\u0001', 'latin1')
const KIND = 5
const REPOSITORY = 8
const MASTER = 24
const RUN_SALT = 32
const OBJECT_SALT = 64
const COMMITMENT = 96

/** What the first 128 bytes of a sealed object say; nothing of it is proven yet. */
export interface Header {
  readonly bytes: Buffer
  readonly kind: number
  readonly repository: Buffer
  /** 16 hexadecimal digits. */
  readonly master: string
  readonly runSalt: Buffer
  readonly objectSalt: Buffer
  readonly commitment: Buffer
}

export interface RunHeader {
  /** 16 bytes. */
  readonly repository: Uint8Array
  /** 8 bytes. */
  readonly master: Uint8Array
  /** 32 bytes. */
  readonly runSalt: Uint8Array
}

export function kindNumber(kind: OwnKind | SealedKind): number {
  return KINDS[kind]
}

/** The first 64 bytes of every header of one run, with kind 0. */
export function runHeader({repository, master, runSalt}: RunHeader): Buffer {
  const start = Buffer.alloc(REPOSITORY)
  MAGIC.copy(start)
  return Buffer.concat([start, repository, master, runSalt])
}

/** The header of one object of a run. */
export function objectHeader(
  run: Uint8Array,
  kind: number,
  salt: Uint8Array,
  commitment: Uint8Array,
): Header {
  const bytes = Buffer.concat([run, salt, commitment])
  bytes[KIND] = kind
  return fieldsOf(bytes)
}

/** Rejects with INTEGRITY what is no header of a sealed object of this kind and repository. */
export function parseHeader(
  bytes: Uint8Array,
  kind: OwnKind | SealedKind,
  repository: Uint8Array,
): Header {
  if (bytes.length < HEADER_LENGTH || MAGIC.compare(bytes, 0, 4, 0, 4) !== 0)
    throw unsealed('no sealed object')
  const version = bytes[4] ?? 0
  if (version > 1)
    throw new DumontError(
      'FORMAT_NEWER',
      `sealed in version ${version}; this dumont knows version 1`,
      {hint: 'update dumont'},
    )
  const header = fieldsOf(Buffer.from(bytes.subarray(0, HEADER_LENGTH)))
  if (version !== 1 || header.bytes[6] !== 0 || header.bytes[7] !== 0)
    throw unsealed('the header of a sealed object is damaged')
  if (header.kind !== KINDS[kind]) throw unsealed(`sealed as another kind of object than a ${kind}`)
  if (!header.repository.equals(repository)) throw unsealed('sealed for another store')
  return header
}

/** What a seal of the list of packs names; the key makes a header of it. */
export function parseSeal(seal: string): Pick<Header, 'master' | 'objectSalt' | 'runSalt'> {
  const bytes = seal.length === 96 ? bytesOfBase64(seal) : undefined
  if (!bytes) throw unsealed('a seal is damaged')
  return {
    master: bytes.toString('hex', 0, 8),
    runSalt: bytes.subarray(8, 40),
    objectSalt: bytes.subarray(40),
  }
}

/** Bytes 24 … 95 in base64. */
export function sealOf(header: Header): string {
  return header.bytes.subarray(MASTER, COMMITMENT).toString('base64')
}

/** One record at an offset of its object; `name` is the key in the store of what binds it. */
export function sealRecord(
  header: Header,
  key: Uint8Array,
  plain: Uint8Array,
  {at = HEADER_LENGTH, name = ''} = {},
): Buffer {
  return encrypt(recordOf(header, key, at, name), plain)
}

/** Compares the commitment before anything is decrypted; INTEGRITY for whatever is not as it was sealed. */
export function openRecord(
  header: Header,
  {key, commitment}: Committed,
  sealed: Uint8Array,
  {at = HEADER_LENGTH, name = ''} = {},
): Buffer {
  if (!timingSafeEqual(commitment, header.commitment)) throw unsealed('sealed with another key')
  const plain = decrypt(recordOf(header, key, at, name), sealed)
  if (!plain) throw unsealed('not what was sealed here')
  return plain
}

function recordOf(header: Header, key: Uint8Array, at: number, name: string) {
  const nonce = Buffer.alloc(12)
  nonce.writeBigUInt64LE(BigInt(at))
  return {key, nonce, bound: Buffer.concat([header.bytes, Buffer.from(name)])}
}

function fieldsOf(bytes: Buffer): Header {
  return {
    bytes,
    kind: bytes[KIND] ?? 0,
    repository: bytes.subarray(REPOSITORY, MASTER),
    master: bytes.toString('hex', MASTER, RUN_SALT),
    runSalt: bytes.subarray(RUN_SALT, OBJECT_SALT),
    objectSalt: bytes.subarray(OBJECT_SALT, COMMITMENT),
    commitment: bytes.subarray(COMMITMENT),
  }
}

/** What lies in the store was not sealed by us, or not for this place. */
export function unsealed(what: string): DumontError {
  return new DumontError('INTEGRITY', what)
}
