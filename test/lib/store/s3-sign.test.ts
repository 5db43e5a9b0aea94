import {describe, expect, test} from '@jest/globals'
import {pinOf} from '../../../src/lib/store/pin.js'
import {S3Store} from '../../../src/lib/store/s3-store.js'
import type {PinKind} from '../../../src/lib/store/store.js'
import {ShiftedClock} from '../../support/shifted-clock.js'

const store = new S3Store(
  {
    kind: 's3',
    bucket: 'bucket',
    prefix: 'some/prefix',
    region: 'auto',
    endpoint: 'https://account.r2.cloudflarestorage.com',
    credentials: {accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'very-secret'},
  },
  {clock: new ShiftedClock()},
)
const bytes = Buffer.from('bytes')
const put = (kind: PinKind, seconds?: number) =>
  store.sign({
    method: 'PUT',
    key: 'packs/a/1',
    length: 5,
    pin: pinOf(kind, bytes),
    ...(seconds !== undefined && {seconds}),
  })

describe('a presigned S3 URL', () => {
  test.each(['crc32', 'md5'] as const)(
    'of a PUT pins a %s as signed header, not in the query',
    async (kind) => {
      const {url, headers} = await put(kind)
      const query = new URL(url).searchParams
      const signed = query.get('X-Amz-SignedHeaders')?.split(';')
      const header = kind === 'crc32' ? 'x-amz-checksum-crc32' : 'content-md5'
      expect(signed).toEqual(['content-length', 'host', 'if-none-match', header].toSorted())
      expect(headers).toEqual({
        'content-length': '5',
        'if-none-match': '*',
        [header]: pinOf(kind, bytes).value,
      })
      expect([...query.keys()].filter((name) => /^x-amz-(checksum|sdk)/i.test(name))).toEqual([])
    },
  )

  test('of a GET needs no header and asks for no checksum', async () => {
    const {url, headers} = await store.sign({method: 'GET', key: 'packs/a/1'})
    const query = new URL(url).searchParams
    expect(headers).toEqual({})
    expect(query.get('X-Amz-SignedHeaders')).toBe('host')
    expect([...query.keys()].filter((name) => /checksum/i.test(name))).toEqual([])
  })

  test('is for the key below the prefix', async () => {
    const {url} = await put('crc32')
    expect(new URL(url).pathname).toBe('/bucket/some/prefix/packs/a/1')
  })

  test.each([
    [undefined, '900'],
    [60, '60'],
    [100_000, '900'],
  ])('asked to live %p seconds lives %p', async (seconds, expires) => {
    expect(new URL((await put('crc32', seconds)).url).searchParams.get('X-Amz-Expires')).toBe(
      expires,
    )
  })

  test('holds no secret', async () => {
    expect(JSON.stringify(await put('crc32'))).not.toContain('very-secret')
  })
})
