import {afterAll, afterEach, beforeAll, describe, expect, test} from '@jest/globals'
import {once} from 'node:events'
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http'
import type {AddressInfo} from 'node:net'
import {S3Store} from '../../../src/lib/store/s3-store.js'
import type {ObjectInfo} from '../../../src/lib/store/store.js'
import {ShiftedClock} from '../../support/shifted-clock.js'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

const object = (key: string, size: number | string = 5) =>
  `<Contents><Key>${key}</Key><LastModified>2026-11-23T14:02:00.000Z</LastModified><Size>${size}</Size></Contents>`
const page = (objects: string, next?: string) =>
  `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>${objects}<IsTruncated>${next !== undefined}</IsTruncated>` +
  `${next === undefined ? '' : `<NextContinuationToken>${next}</NextContinuationToken>`}</ListBucketResult>`

describe('a store that lies', () => {
  let server: Server
  let store: S3Store
  let answer: Answer
  let asked = 0
  let sent = 0

  beforeAll(async () => {
    server = createServer((request, response) => {
      asked += 1
      answer(request, response)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const {port} = server.address() as AddressInfo
    store = new S3Store(
      {
        kind: 's3',
        bucket: 'bucket',
        prefix: 'pre',
        region: 'auto',
        endpoint: `http://127.0.0.1:${port}`,
        credentials: {accessKeyId: 'key', secretAccessKey: 'secret'},
      },
      {attempts: 2, clock: new ShiftedClock()},
    )
  })
  afterEach(() => {
    asked = 0
    sent = 0
  })
  afterAll(async () => {
    await store.close()
    server.closeAllConnections()
    server.close()
  })

  const always = (body: string) => {
    answer = (_, response) => response.end(body)
  }
  const listed = async () => {
    const found: ObjectInfo[] = []
    for await (const one of store.list('packs/')) found.push(one)
    return found
  }
  /** Writes until the other side has had enough. */
  const endless =
    (status: number, beginning: string, piece: string): Answer =>
    (_, response) => {
      response.writeHead(status, {'content-type': 'application/xml'})
      response.write(beginning)
      const more = Buffer.from(piece.repeat(4096))
      const write = () => {
        while (!response.destroyed) {
          sent += more.length
          if (!response.write(more)) return
        }
      }
      response.on('drain', write).on('error', () => {})
      write()
    }

  test.each([
    ['the same page for ever', page(object('pre/packs/a'), 'token'), 2],
    ['the same empty page for ever', page('', 'token'), 2],
    ['a page that goes on nowhere', page(object('pre/packs/a')).replace('false', 'true'), 1],
  ])('with %s is not believed', async (_, body, requests) => {
    always(body)
    await expect(listed()).rejects.toMatchObject({code: 'STORE_UNSUITABLE'})
    expect(asked).toBe(requests)
  })

  test('with ever new empty pages is left in the end', async () => {
    answer = (_, response) => response.end(page('', `token-${asked}`))
    await expect(listed()).rejects.toMatchObject({code: 'STORE_UNSUITABLE'})
    expect(asked).toBeLessThan(200)
  })

  test('may have a page that is empty', async () => {
    answer = (_, response) =>
      response.end(asked === 1 ? page('', 'more') : page(object('pre/packs/a')))
    expect(await listed()).toMatchObject([{key: 'packs/a', length: 5}])
  })

  test.each([
    ['a snapshot among the packs', object('pre/snapshots/20261123T140200Z-k3f7qz.json')],
    ['what lies beside the prefix', object('prefix/packs/a')],
    ['what lies above the prefix', object('packs/a')],
    ['keys in another order', object('pre/packs/b') + object('pre/packs/a')],
    ['a key twice', object('pre/packs/a') + object('pre/packs/a')],
    ['a negative size', object('pre/packs/a', -1)],
    ['no size', object('pre/packs/a').replace(/<Size>.*<\/Size>/, '')],
    ['no time', object('pre/packs/a').replace(/<LastModified>.*<\/LastModified>/, '')],
  ])('that lists %s is not believed', async (_, objects) => {
    always(page(objects))
    await expect(listed()).rejects.toMatchObject({code: 'STORE_UNSUITABLE'})
  })

  test.each(['1e99', 'NaN', 'Infinity', '99999999999999999999', 'five', '1.5'])(
    'that lists a size of %s is not believed',
    async (size) => {
      always(page(object('pre/packs/a', size)))
      await expect(listed()).rejects.toMatchObject({
        code: expect.stringMatching(/STORE_UNSUITABLE|UNREACHABLE/),
      })
    },
  )

  test.each(['pre/packs/../dumont.json', 'pre/packs/a b', 'pre/packs/a\u001B[2J', 'pre/packs//a'])(
    'that lists %j is not told on: no such object is ours',
    async (key) => {
      always(page(object(key)))
      const found = await listed().catch((error: unknown) => error)
      if (Array.isArray(found)) expect(found).toEqual([])
      else expect(found).toMatchObject({code: 'UNREACHABLE'})
    },
  )

  test('with a page without end is left before it fills the memory', async () => {
    answer = endless(200, '<ListBucketResult>', object('pre/packs/a'))
    await expect(listed()).rejects.toMatchObject({code: 'STORE_UNSUITABLE'})
    expect(sent).toBeLessThan(64 * 1024 * 1024)
  })

  test('with a refusal without end is left as well', async () => {
    answer = endless(403, '<Error><Message>', 'never mind. ')
    await expect(store.get('packs/a')).rejects.toMatchObject({code: 'STORE_UNSUITABLE'})
    expect(sent).toBeLessThan(64 * 1024 * 1024)
  })

  test.each([
    ['elements in elements', '<a>'.repeat(200_000)],
    [
      'entities made of entities',
      `<!DOCTYPE l [<!ENTITY a "${'x'.repeat(1000)}"><!ENTITY b "${'&a;'.repeat(1000)}">]><ListBucketResult><Name>${'&b;'.repeat(1000)}</Name></ListBucketResult>`,
    ],
    [
      'a file of this machine',
      '<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><ListBucketResult><Contents><Key>pre/packs/&a;</Key></Contents></ListBucketResult>',
    ],
    ['half a page', page(object('pre/packs/a')).slice(0, 120)],
    ['no XML', 'not found'],
    ['nothing', ''],
  ])('that answers with %s gets nowhere', async (_, body) => {
    always(body)
    const found = await listed().catch((error: unknown) => error)
    if (Array.isArray(found)) expect(found).toEqual([])
    else expect(found).toMatchObject({name: 'DumontError'})
  })

  test('cannot put its words onto the terminal', async () => {
    answer = (_, response) =>
      response
        .writeHead(418, {'content-type': 'application/xml'})
        .end('<Error><Code>\u001B[2Jowned\u009B</Code><Message>\u001B]0;x\u0007</Message></Error>')
    const error: unknown = await store.get('packs/a').catch((cause: unknown) => cause)
    expect((error as Error).message).not.toMatch(/\p{Cc}/u)
  })
})
