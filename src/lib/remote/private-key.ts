const MAGIC = 'openssh-key-v1\0'

/**
 * The public key blob in front of an encrypted key in OpenSSH's own format, which is readable without the passphrase;
 * undefined for other formats. Tells whether an agent holds the key already.
 */
export function publicPartOfPrivateKey(text: Buffer): Buffer | undefined {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]+?)-----END/.exec(
    text.toString('latin1'),
  )?.[1]
  if (body === undefined) return undefined
  const bytes = Buffer.from(body, 'base64')
  if (bytes.subarray(0, MAGIC.length).toString('latin1') !== MAGIC) return undefined
  // cipher, kdf and kdf options are strings, then comes the number of keys, then the first public key
  let at = MAGIC.length
  for (let skipped = 0; skipped < 3; skipped += 1) at += 4 + lengthAt(bytes, at)
  at += 4
  const length = lengthAt(bytes, at)
  const blob = bytes.subarray(at + 4, at + 4 + length)
  return length > 0 && blob.length === length ? blob : undefined
}

function lengthAt(bytes: Buffer, at: number): number {
  return at + 4 <= bytes.length ? bytes.readUInt32BE(at) : 0
}
