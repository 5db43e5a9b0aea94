/** The bytes of canonical base64; undefined for anything else, which `Buffer.from` would read somehow. */
export function bytesOfBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}
