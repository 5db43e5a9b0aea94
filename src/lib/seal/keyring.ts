import * as v from 'valibot'
import {bytesOfBase64} from './base64.js'
import {unsealed} from './sealed-object.js'
import type {Protection} from './store-keys.js'

const MOST_MASTERS = 16

export interface Master {
  /** 16 hexadecimal digits. */
  readonly id: string
  /** 32 bytes. */
  readonly key: Buffer
  /** ISO 8601. */
  readonly created: string
}

/** What a slot holds: everything that opens one store. The last master seals what is new. */
export interface Keyring {
  /** 32 hexadecimal digits. */
  readonly repository: string
  /** What `dumont.json` must say of the store: that is in the open, and this is not. Absent in keyrings of before. */
  readonly protection?: Protection
  readonly masters: readonly Master[]
}

const hex = (digits: number) => v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${digits}}$`)))

const master = v.object({
  id: hex(16),
  key: v.pipe(
    v.string(),
    v.transform(bytesOfBase64),
    v.custom<Buffer>((bytes) => Buffer.isBuffer(bytes) && bytes.length === 32),
  ),
  created: v.pipe(v.string(), v.maxLength(40), v.isoTimestamp()),
})

const keyring = v.object({
  repository: hex(32),
  protection: v.exactOptional(v.picklist(['authenticated', 'sealed'])),
  masters: v.pipe(
    v.array(master),
    v.minLength(1),
    v.maxLength(MOST_MASTERS),
    v.check((all) => new Set(all.map(({id}) => id)).size === all.length),
  ),
})

/** A keyring with one more master, which seals from now on; undefined when there are sixteen, for none is ever dropped. */
export function withNewMaster(
  {masters, ...store}: Keyring,
  created: string,
  random: (count: number) => Uint8Array,
): Keyring | undefined {
  if (masters.length >= MOST_MASTERS) return undefined
  const fresh = {
    id: Buffer.from(random(8)).toString('hex'),
    key: Buffer.from(random(32)),
    created,
  }
  return {...store, masters: [...masters, fresh]}
}

/** Rejects with INTEGRITY, naming no byte of it. */
export function parseKeyring(bytes: Uint8Array): Keyring {
  try {
    return v.parse(keyring, JSON.parse(Buffer.from(bytes).toString('utf8')))
  } catch {
    // Not even as a cause: messages of the parsers quote what they read, and it is secret.
    throw unsealed('a key slot holds no keyring')
  }
}

export function serialiseKeyring({repository, protection, masters}: Keyring): Buffer {
  const open = masters.map(({id, key, created}) => ({id, key: key.toString('base64'), created}))
  return Buffer.from(JSON.stringify({repository, protection, masters: open}))
}
