import path from 'node:path'
import {fileURLToPath} from 'node:url'

/** A store as users write it. */
export type StoreAddress =
  | {readonly kind: 'directory'; readonly path: string}
  | {readonly kind: 's3'; readonly bucket: string; readonly prefix: string}

export const STORE_FORMS = 'file:///path, /path or s3://bucket/prefix'

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/
const SEGMENT = /^(?!\.{1,2}$)[A-Za-z0-9._=+@-]+$/

/** Undefined when it is none of the known forms. */
export function parseStoreAddress(text: string): StoreAddress | undefined {
  if (text.startsWith('s3://')) return parseBucket(text.slice('s3://'.length))
  if (text.startsWith('file:')) return parseFile(text)
  return path.isAbsolute(text) && !text.includes('\0')
    ? {kind: 'directory', path: path.normalize(text)}
    : undefined
}

/** The reverse for a bucket. */
export function bucketAddress(bucket: string, prefix: string): string {
  return prefix === '' ? `s3://${bucket}` : `s3://${bucket}/${prefix}`
}

function parseBucket(rest: string): StoreAddress | undefined {
  const [bucket = '', ...segments] = rest.split('/')
  if (segments.at(-1) === '') segments.pop()
  if (!BUCKET.test(bucket) || !segments.every((segment) => SEGMENT.test(segment))) return undefined
  return {kind: 's3', bucket, prefix: segments.join('/')}
}

function parseFile(text: string): StoreAddress | undefined {
  try {
    return {kind: 'directory', path: path.normalize(fileURLToPath(new URL(text)))}
  } catch {
    // Another host, or an encoded slash: not a path on this machine.
    return undefined
  }
}
