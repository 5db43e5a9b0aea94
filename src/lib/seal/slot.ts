import {createHmac, scrypt, timingSafeEqual} from 'node:crypto'
import * as v from 'valibot'
import {DumontError} from '../errors.js'
import {bytesOfBase64} from './base64.js'
import {macKey, slotKey} from './derive.js'
import {decrypt, encrypt, type Gcm} from './gcm.js'
import {type Keyring, parseKeyring, serialiseKeyring} from './keyring.js'
import {unsealed} from './sealed-object.js'

/** Bytes of one slot object. */
export const SLOT_LIMIT = 64 * 1024

export const SLOT_KINDS = ['passphrase', 'file', 'recovery'] as const

export type SlotKind = (typeof SLOT_KINDS)[number]

/** What opens a slot: words a person chose, or 32 bytes that were drawn. */
export type Secret =
  | {readonly kind: 'drawn'; readonly bytes: Uint8Array}
  | {readonly kind: 'passphrase'; readonly text: string}

interface Scrypt {
  readonly name: 'scrypt'
  readonly n: number
  readonly r: number
  readonly p: number
  readonly salt: Buffer
}

/** One way into a keyring, as it lies in the store; nothing of it is proven before it opens. */
export interface Slot {
  /** 16 hexadecimal digits. */
  readonly slot: string
  readonly repository: string
  readonly kind: SlotKind
  readonly label: string
  /** ISO 8601. */
  readonly created: string
  readonly kdf: Scrypt | {readonly name: 'hkdf-sha256'; readonly salt: Buffer}
  readonly commitment: Buffer
  readonly sealed: Buffer
  /** By whom it was made: `<master id>.<64 hex>`, a MAC under the newest master that it holds. Absent in slots of before. */
  readonly mac?: string
}

export interface SlotDraft {
  readonly kind: SlotKind
  readonly label: string
  readonly created: string
  readonly keyring: Keyring
  /** Words for kind `passphrase`, drawn bytes for the others. */
  readonly secret: Secret
}

const WRITTEN = {name: 'scrypt', n: 2 ** 17, r: 8, p: 1} as const

const hex = (digits: number) => v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${digits}}$`)))
const base64 = (bytes: number) =>
  v.pipe(
    v.string(),
    v.transform(bytesOfBase64),
    v.custom<Buffer>((value) => Buffer.isBuffer(value) && (bytes === 0 || value.length === bytes)),
  )
const upTo = (most: number) => v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(most))

/** 512 MiB, for scrypt takes 128·n·r bytes. */
const MOST_SCRYPT = 2 ** 22

const schema = v.pipe(
  v.object({
    format: v.literal(1),
    slot: hex(16),
    repository: hex(32),
    kind: v.picklist(SLOT_KINDS),
    label: v.pipe(v.string(), v.maxLength(200)),
    created: v.pipe(v.string(), v.maxLength(40), v.isoTimestamp()),
    kdf: v.variant('name', [
      v.object({
        name: v.literal('scrypt'),
        n: v.picklist([14, 15, 16, 17, 18, 19, 20].map((power) => 2 ** power)),
        r: upTo(16),
        p: upTo(4),
        salt: base64(32),
      }),
      v.object({name: v.literal('hkdf-sha256'), salt: base64(32)}),
    ]),
    commitment: v.pipe(
      hex(64),
      v.transform((text) => Buffer.from(text, 'hex')),
    ),
    sealed: base64(0),
    mac: v.exactOptional(v.pipe(v.string(), v.regex(/^[0-9a-f]{16}\.[0-9a-f]{64}$/))),
  }),
  v.check(({kdf, kind}) => (kind === 'passphrase') === (kdf.name === 'scrypt')),
  v.check(({kdf}) => kdf.name !== 'scrypt' || kdf.n * kdf.r <= MOST_SCRYPT),
)

/** The bytes of a slot object; INTEGRITY or FORMAT_NEWER for what cannot be tried. */
export function parseSlot(bytes: Uint8Array): Slot {
  if (bytes.length > SLOT_LIMIT) throw unsealed('a key slot is too large')
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (cause) {
    throw new DumontError('INTEGRITY', 'a key slot is no JSON', {cause})
  }
  const format = (value as {format?: unknown} | null)?.format
  if (typeof format === 'number' && format > 1)
    throw new DumontError('FORMAT_NEWER', `a key slot has format ${format}; this dumont knows 1`, {
      hint: 'update dumont',
    })
  const result = v.safeParse(schema, value)
  if (!result.success) {
    const where = v.getDotPath(result.issues[0]) ?? 'form'
    throw unsealed(`a key slot is damaged (${where})`)
  }
  const {format: _, ...slot} = result.output
  return slot
}

export async function makeSlot(
  draft: SlotDraft,
  random: (count: number) => Uint8Array,
): Promise<Slot> {
  const {keyring, kind, label, created, secret} = draft
  const salt = Buffer.from(random(32))
  const slot = {
    slot: Buffer.from(random(8)).toString('hex'),
    repository: keyring.repository,
    kind,
    label,
    created,
    kdf: kind === 'passphrase' ? {...WRITTEN, salt} : {name: 'hkdf-sha256' as const, salt},
  }
  const bytes = await secretBytes(slot.kdf, secret)
  if (!bytes) throw new Error(`a slot of kind ${kind} is not opened by such a secret`)
  const {key, commitment} = slotKey(bytes, salt)
  const nonce = Buffer.from(random(12))
  const text = encrypt(gcmOf(slot, key, nonce), serialiseKeyring(keyring))
  const whole = {...slot, commitment, sealed: Buffer.concat([nonce, text])}
  return {...whole, mac: macOf(whole, keyring)}
}

/**
 * Whether it was made by somebody who had the newest master of this keyring, and so holds it: without its secret nothing else
 * tells a slot from one of old, or one that was made up.
 */
export function isVouchedFor(slot: Slot, keyring: Keyring): boolean {
  const {mac, ...whole} = slot
  return mac !== undefined && timingSafeEqual(Buffer.from(mac), Buffer.from(macOf(whole, keyring)))
}

function macOf(slot: Omit<Slot, 'mac'>, {masters, repository}: Keyring): string {
  const newest = masters.at(-1)
  if (!newest) throw new Error('a keyring without masters')
  const key = macKey(newest.key, Buffer.from(repository, 'hex'))
  const mac = createHmac('sha256', key)
    .update(`keys/${slot.slot}.json\n`)
    .update(serialiseSlot(slot))
  return `${newest.id}.${mac.digest('hex')}`
}

export function serialiseSlot({slot, repository, kdf, commitment, sealed, ...told}: Slot): Buffer {
  const {kind, label, created, mac} = told
  const text = JSON.stringify({
    format: 1,
    slot,
    repository,
    kind,
    label,
    created,
    kdf: {...kdf, salt: kdf.salt.toString('base64')},
    commitment: commitment.toString('hex'),
    sealed: sealed.toString('base64'),
    mac,
  })
  return Buffer.from(`${text}\n`)
}

/** The keyring; undefined when this is not the secret of this slot. INTEGRITY when it is, and the slot was tampered with. */
export async function openSlot(slot: Slot, secret: Secret): Promise<Keyring | undefined> {
  const bytes = await secretBytes(slot.kdf, secret)
  if (!bytes) return undefined
  const {key, commitment} = slotKey(bytes, slot.kdf.salt)
  if (!timingSafeEqual(commitment, slot.commitment)) return undefined
  const plain = decrypt(gcmOf(slot, key, slot.sealed.subarray(0, 12)), slot.sealed.subarray(12))
  if (!plain) throw unsealed(`key slot ${slot.slot} was changed after it was made`)
  const keyring = parseKeyring(plain)
  if (keyring.repository !== slot.repository)
    throw unsealed(`key slot ${slot.slot} holds the keys of another store`)
  return keyring
}

function gcmOf(
  {kind, repository, slot}: Pick<Slot, 'kind' | 'repository' | 'slot'>,
  key: Uint8Array,
  nonce: Uint8Array,
): Gcm {
  const bound = Buffer.from(`dumont slot 1\n${repository}\n${slot}\n${kind}\n`)
  return {bound, key, nonce}
}

/** Undefined when the secret is of another sort than the slot. */
async function secretBytes(kdf: Slot['kdf'], secret: Secret): Promise<Uint8Array | undefined> {
  if (kdf.name !== 'scrypt') return secret.kind === 'drawn' ? secret.bytes : undefined
  if (secret.kind !== 'passphrase') return undefined
  const {n: N, p, r, salt} = kdf
  // What scrypt needs is 128·N·r bytes and a little.
  const options = {N, p, r, maxmem: 128 * N * r + 128 * r * p + 2 ** 20}
  const words = Buffer.from(secret.text.normalize('NFKC'))
  return new Promise((resolve, reject) => {
    scrypt(words, salt, 32, options, (error, bytes) => (error ? reject(error) : resolve(bytes)))
  })
}
