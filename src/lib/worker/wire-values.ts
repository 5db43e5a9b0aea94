import * as v from 'valibot'

/** Bytes in JSON: a string when they are valid UTF-8, else base64 (docs/format.md section 1). */
export const byteString = v.union([v.string(), v.object({b64: v.pipe(v.string(), v.base64())})])
/** A path, link target or name of the box; any bytes but NUL. */
export type ByteString = v.InferOutput<typeof byteString>

/** Bytes, files or milliseconds: nothing on the wire is negative. */
export const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
export const seconds = v.pipe(v.number(), v.finite(), v.minValue(0))
export const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))
export const lineageId = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))
/** The form of a snapshot's id; `latest` and anything that could leave its folder are refused. */
export const snapshotId = v.pipe(v.string(), v.regex(/^\d{8}T\d{6}Z-[a-z2-7]{6}$/))
export const pin = v.object({
  kind: v.picklist(['crc32', 'md5']),
  value: v.pipe(v.string(), v.maxLength(24), v.base64()),
})
/** Unique to its sender within one conversation. */
export const messageId = v.union([count, v.pipe(v.string(), v.minLength(1), v.maxLength(64))])
/** A name the code can switch on; free text never goes here. */
export const code = v.pipe(v.string(), v.regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/))
/** An object's key below the store's prefix. */
export const key = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]*(?:\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/),
  v.maxLength(512),
)
export const byCode = v.record(code, count)

/** Base64 of exactly so many bytes. */
export function bytesOf(length: number) {
  const isLong = (text: string) => {
    const bytes = Buffer.from(text, 'base64')
    return bytes.length === length && bytes.toString('base64') === text
  }
  return v.pipe(v.string(), v.maxLength(2 * length), v.check(isLong, `not ${length} bytes`))
}

/** Master id, run salt and object salt of a sealed object. */
export const seal = bytesOf(72)
/** An index object by its content: what a manifest says of it. */
export const digestedObject = v.object({key, length: count, sha256, seal: v.exactOptional(seal)})
export type DigestedObject = v.InferOutput<typeof digestedObject>
