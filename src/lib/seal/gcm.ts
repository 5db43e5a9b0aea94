import {createCipheriv, createDecipheriv} from 'node:crypto'

const TAG = 16

export interface Gcm {
  /** 32 bytes, used with each nonce once. */
  readonly key: Uint8Array
  /** 12 bytes. */
  readonly nonce: Uint8Array
  /** What is proven with the text but not in it. */
  readonly bound: Uint8Array
}

/** AES-256-GCM: the ciphertext and its tag. */
export function encrypt({key, nonce, bound}: Gcm, plain: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, {authTagLength: TAG}).setAAD(bound)
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

/** Undefined unless the tag proves every byte. */
export function decrypt({key, nonce, bound}: Gcm, sealed: Uint8Array): Buffer | undefined {
  if (sealed.length < TAG) return undefined
  const end = sealed.length - TAG
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, {authTagLength: TAG})
    .setAAD(bound)
    .setAuthTag(sealed.subarray(end))
  try {
    const plain = decipher.update(sealed.subarray(0, end))
    decipher.final()
    return plain
  } catch {
    return undefined
  }
}
