import type {ListObjectsV2CommandOutput} from '@aws-sdk/client-s3'
import {DumontError} from '../errors.js'
import {isKey} from './keys.js'
import type {ObjectInfo} from './store.js'

type Page = Pick<ListObjectsV2CommandOutput, 'Contents' | 'IsTruncated' | 'NextContinuationToken'>

interface Listing {
  /** What our keys begin with in the bucket. */
  readonly base: string
  /** What was asked for below it. */
  readonly prefix: string
  readonly url: string
}

/** Some 80 TB in packs; more would not fit into the memory of those who look at all of them. */
const MOST_OBJECTS = 10_000_000
/** Stores may answer with an empty page and more to come, but not for ever. */
const MOST_EMPTY = 100

/**
 * The objects of all pages in order, whatever the store says. Rejects (STORE_UNSUITABLE) a listing that is out of order, holds
 * what was not asked for, tells no sizes, goes in a circle or does not end.
 */
export async function* readListing(
  pageAfter: (token: string | undefined) => Promise<Page>,
  {base, prefix, url}: Listing,
): AsyncGenerator<ObjectInfo, void> {
  let [token, previous, count, empty] = [undefined as string | undefined, Buffer.alloc(0), 0, 0]
  do {
    const {Contents = [], IsTruncated, NextContinuationToken: next} = await pageAfter(token)
    for (const {Key = '', Size, LastModified} of Contents) {
      const bytes = Buffer.from(Key)
      if (!Key.startsWith(base + prefix) || Buffer.compare(bytes, previous) <= 0)
        throw unorderly(url, 'out of order, or others than asked for')
      previous = bytes
      const key = Key.slice(base.length)
      // Other things may lie in the bucket; they are none of ours.
      if (!isKey(key)) continue
      const modified = LastModified?.getTime() ?? Number.NaN
      if (!Number.isSafeInteger(Size) || Number(Size) < 0 || !Number.isFinite(modified))
        throw unorderly(url, 'without sizes or times')
      yield {key, length: Number(Size), modified}
    }
    count += Contents.length
    empty = Contents.length === 0 ? empty + 1 : 0
    if (IsTruncated && (next === undefined || next === token || empty > MOST_EMPTY))
      throw unorderly(url, 'and not to the end')
    if (count > MOST_OBJECTS) throw unorderly(url, `and more than ${MOST_OBJECTS} of them`)
    token = IsTruncated ? next : undefined
  } while (token !== undefined)
}

function unorderly(url: string, how: string): DumontError {
  return new DumontError('STORE_UNSUITABLE', `${url} lists its objects ${how}`, {
    hint: 'use a store that follows S3: Cloudflare R2, AWS S3, or a directory',
  })
}
