import {afterAll, afterEach, beforeAll, describe, expect, test} from '@jest/globals'
import {once} from 'node:events'
import {createServer, type Server} from 'node:http'
import type {AddressInfo} from 'node:net'
import {S3Store} from '../../../src/lib/store/s3-store.js'
import {findVersitygw, startVersitygw} from '../../support/versitygw.js'
import {ShiftedClock} from '../../support/shifted-clock.js'

const xml = (code: string, message: string) =>
  `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`

describe('a bucket that keeps what is to be removed', () => {
  let server: Server
  let store: S3Store
  /** Keys that a lock keeps, with what the store answers then. */
  let locked: Map<string, readonly [status: number, body: string]>
  let heads: Record<string, string>
  let deleted: string[]
  let asked: number

  beforeAll(async () => {
    server = createServer((request, response) => {
      const key = (request.url ?? '').split('?')[0]?.replace('/bucket/pre/', '') ?? ''
      if (request.method === 'HEAD') {
        response.writeHead(200, {'content-length': '5', date: new Date().toUTCString(), ...heads})
        return response.end()
      }
      asked += 1
      const refusal = locked.get(key)
      if (refusal === undefined) deleted.push(key)
      response.writeHead(refusal?.[0] ?? 204, {'content-type': 'application/xml'})
      return response.end(refusal?.[1])
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    store = storeAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {
      accessKeyId: 'key',
      secretAccessKey: 'secret',
    })
    reset()
  })
  const reset = () => {
    locked = new Map()
    heads = {}
    deleted = []
    asked = 0
  }
  afterEach(reset)
  afterAll(async () => {
    await store.close()
    server.closeAllConnections()
    server.close()
  })

  test.each([
    ['R2', 403, 'ObjectLockedByBucketPolicy', 'The object is locked by the bucket policy.'],
    ['S3', 403, 'AccessDenied', 'Access Denied because object protected by object lock.'],
    ['MinIO', 400, 'InvalidRequest', 'Object is WORM protected and cannot be overwritten'],
  ])('as %s says it is told as a lock, once', async (_, status, code, message) => {
    locked.set('packs/x/0', [status, xml(code, message)])
    await expect(store.remove(['packs/x/0'])).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      message: expect.stringContaining('a lock of bucket bucket keeps packs/x/0'),
      hint: expect.stringContaining('nothing is wrong with the credentials'),
    })
    expect(asked).toBe(1)
  })
  test('removes all the rest', async () => {
    const body = xml('ObjectLockedByBucketPolicy', 'locked')
    locked.set('packs/x/0', [403, body]).set('packs/x/2', [403, body])
    await expect(
      store.remove(['packs/x/0', 'packs/x/1', 'packs/x/2', 'packs/x/3']),
    ).rejects.toMatchObject({message: expect.stringContaining('and 1 more')})
    expect(deleted.toSorted()).toEqual(['packs/x/1', 'packs/x/3'])
  })
  test('is told with mode and time where the store knows them', async () => {
    locked.set('packs/x/0', [403, xml('AccessDenied', 'protected by object lock')])
    heads = {
      'x-amz-object-lock-mode': 'GOVERNANCE',
      'x-amz-object-lock-retain-until-date': '2027-01-02T03:04:05Z',
    }
    await expect(store.remove(['packs/x/0'])).rejects.toMatchObject({
      message: expect.stringContaining('(object lock, governance) until 2027-01-02T03:04:05.000Z'),
    })
  })
  test('for a legal hold has no end', async () => {
    locked.set('packs/x/0', [403, xml('AccessDenied', 'protected by object lock')])
    heads = {'x-amz-object-lock-legal-hold': 'ON'}
    await expect(store.remove(['packs/x/0'])).rejects.toMatchObject({
      message: expect.stringContaining('a legal hold, without an end'),
    })
  })
  test('for want of rights is told as that', async () => {
    locked.set('packs/x/0', [403, xml('AccessDenied', 'Access Denied')])
    await expect(store.remove(['packs/x/0'])).rejects.toMatchObject({
      message: expect.stringContaining('may not do this'),
    })
  })
})

const real = findVersitygw() === undefined ? describe.skip : describe
real('object lock of a real server', () => {
  test('keeps an object, and says until when', async () => {
    const gateway = await startVersitygw()
    const credentials = {
      accessKeyId: gateway.accessKeyId,
      secretAccessKey: gateway.secretAccessKey,
    }
    const store = storeAt(gateway.endpoint, credentials, 'locked')
    try {
      const until = new Date('2099-01-02T03:04:05Z')
      const sdk = await import('@aws-sdk/client-s3')
      const client = new sdk.S3Client({
        credentials,
        endpoint: gateway.endpoint,
        forcePathStyle: true,
        region: gateway.region,
      })
      const named = {Bucket: 'locked', Key: 'pre/packs/x/0'}
      await client.send(
        new sdk.CreateBucketCommand({Bucket: 'locked', ObjectLockEnabledForBucket: true}),
      )
      await store.put('packs/x/0', Buffer.from('hello'))
      await client.send(
        new sdk.PutObjectRetentionCommand({
          ...named,
          Retention: {Mode: 'GOVERNANCE', RetainUntilDate: until},
        }),
      )
      await expect(store.remove(['packs/x/0'])).rejects.toMatchObject({
        code: 'ACCESS_DENIED',
        message: expect.stringMatching(/a lock of bucket locked keeps packs\/x\/0/),
      })
      expect(await store.head('packs/x/0')).toBeDefined()
      client.destroy()
    } finally {
      await store.close()
      await gateway.close()
    }
  })
})

function storeAt(
  endpoint: string,
  credentials: {accessKeyId: string; secretAccessKey: string},
  bucket = 'bucket',
): S3Store {
  const location = {bucket, credentials, endpoint, kind: 's3', prefix: 'pre', region: 'us-east-1'}
  return new S3Store(location as ConstructorParameters<typeof S3Store>[0], {
    attempts: 3,
    clock: new ShiftedClock(),
  })
}
