import {PIN_HEADERS, pinHeaders, URL_SECONDS} from './signed-headers.js'
import type {S3Connection} from './s3-client.js'
import type {SignedRequest, SignRequest} from './store.js'

interface SigningContext {
  readonly connection: S3Connection
  readonly bucket: string
  /** Full key in the bucket. */
  readonly key: string
  /** Milliseconds since the epoch by the store's clock, as far as it is known. */
  readonly now: number
}

/** A presigned URL whose signature covers method, key, expiry and every header it comes with. */
export async function presign(
  request: SignRequest,
  {connection, bucket, key, now}: SigningContext,
): Promise<SignedRequest> {
  const options = {
    expiresIn: Math.min(request.seconds ?? URL_SECONDS, URL_SECONDS),
    signingDate: new Date(now),
    // In the query, where the SDK would move it, no store checks it.
    unhoistableHeaders: new Set([PIN_HEADERS.crc32]),
  }
  const {client, sdk} = connection
  if (request.method === 'GET') {
    const url = await sdk.getSignedUrl(
      client,
      new sdk.GetObjectCommand({Bucket: bucket, Key: key}),
      options,
    )
    return {method: 'GET', url, headers: {}}
  }
  const {length, pin} = request
  const command = new sdk.PutObjectCommand({
    Bucket: bucket,
    Key: key,
    ContentLength: length,
    IfNoneMatch: '*',
    ...(pin.kind === 'crc32' ? {ChecksumCRC32: pin.value} : {ContentMD5: pin.value}),
  })
  return {
    method: 'PUT',
    url: await sdk.getSignedUrl(client, command, options),
    headers: pinHeaders(request),
  }
}
