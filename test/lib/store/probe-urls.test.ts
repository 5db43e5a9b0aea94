import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {once} from 'node:events'
import {mkdtemp, rm} from 'node:fs/promises'
import {createServer, type IncomingMessage, type Server} from 'node:http'
import type {AddressInfo} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {checkStore} from '../../../src/lib/checkup/check-store.js'
import {exitCodeOfFindings} from '../../../src/lib/checkup/finding.js'
import {DumontError} from '../../../src/lib/errors.js'
import {collect} from '../../../src/lib/store/collect.js'
import {DirectoryStore} from '../../../src/lib/store/directory-store.js'
import {MemoryStore} from '../../../src/lib/store/memory-store.js'
import {pinOf} from '../../../src/lib/store/pin.js'
import {probeUrls} from '../../../src/lib/store/probe-urls.js'
import {S3Store} from '../../../src/lib/store/s3-store.js'
import {pinHeaders} from '../../../src/lib/store/signed-headers.js'
import type {PinKind, SignRequest, Store} from '../../../src/lib/store/store.js'
import {ShiftedClock} from '../../support/shifted-clock.js'
import {findVersitygw, startVersitygw, type Versitygw} from '../../support/versitygw.js'

const HOWS = [
  'upload stores another object',
  'upload stores other bytes',
  'upload works without its signature',
  'upload overwrites',
  'upload overwrites when told to',
  'upload reads',
  'upload copies another object',
  'upload lists',
  'download reads another object',
  'download works without its signature',
  'download overwrites',
  'download lists',
  'upload works when its time is over',
  'download works when its time is over',
  'upload deletes',
  'download deletes',
]

/** A URL of one second is signed an hour ago, which spares the wait. */
function hasty(store: Store, clock: ShiftedClock): Store {
  const sign = store.sign.bind(store)
  store.sign = async (request: SignRequest) => {
    if (request.seconds !== 1) return sign(request)
    await store.now()
    clock.shift = -3_600_000
    try {
      return await sign(request)
    } finally {
      clock.shift = 0
    }
  }
  return store
}

async function keysOf(store: Store): Promise<string[]> {
  const keys: string[] = []
  for await (const {key} of store.list('')) keys.push(key)
  return keys
}

async function expectRefusals(store: Store, clock: ShiftedClock, pin: PinKind): Promise<void> {
  const tried = await probeUrls(hasty(store, clock), {clock, pin})
  expect(tried.filter(({works}) => works)).toEqual([])
  expect(tried.map(({how, of}) => `${of} ${how}`)).toEqual(HOWS)
  expect(await keysOf(store)).toEqual([])
}

const binary = findVersitygw()
const withServer = binary ? describe : describe.skip

withServer('signed URLs of a real S3 server are good for their one object only', () => {
  let server: Versitygw

  beforeAll(async () => {
    server = await startVersitygw(binary)
  })
  afterAll(() => server.close())

  test.each(['crc32', 'md5'] as const)('held by %s', async (pin) => {
    const clock = new ShiftedClock()
    const {accessKeyId, bucket, endpoint, region, secretAccessKey} = server
    const credentials = {accessKeyId, secretAccessKey}
    const store = new S3Store(
      {kind: 's3', bucket, prefix: `some/${pin}`, region, endpoint, credentials},
      {clock},
    )
    try {
      await expectRefusals(store, clock, pin)
    } finally {
      await store.close()
    }
  })
})

describe('signed URLs of a directory', () => {
  test('are good for their one object only', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'dumont-urls-'))
    const clock = new ShiftedClock()
    const store = await DirectoryStore.open(join(folder, 'store'), {clock})
    try {
      await expectRefusals(store, clock, 'crc32')
    } finally {
      await store.close()
      await rm(folder, {recursive: true})
    }
  })
})

describe('a store that is lax', () => {
  let server: Server
  let store: Store
  const clock = new ShiftedClock()
  /** Which requests are obeyed although they are not what was signed. */
  let isObeyed: (request: IncomingMessage) => boolean

  beforeAll(async () => {
    const memory = new MemoryStore({clock})
    server = createServer((request, response) => {
      const key = new URL(request.url ?? '', 'http://x').pathname.slice('/bucket/'.length)
      const answer = async () => {
        const body = await collect('body', request)
        if (isObeyed(request)) return obey(memory, request, key, body)
        return (await isSigned(memory, request, key, body)) ? obey(memory, request, key, body) : 403
      }
      answer().then(
        (status) => response.writeHead(status).end(),
        () => response.writeHead(404).end(),
      )
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const {port} = server.address() as AddressInfo
    const sign = async ({key, method, ...rest}: SignRequest) => ({
      method,
      url: `http://127.0.0.1:${port}/bucket/${key}?signed=${rest.seconds === 1 ? 'late' : method + key}`,
      headers: 'pin' in rest ? pinHeaders(rest) : {},
    })
    store = Object.assign(memory, {reach: 'direct' as const, sign})
  })
  afterAll(() => {
    server.close()
    server.closeAllConnections()
  })

  const worksOf = async () => {
    const tried = await probeUrls(store, {clock, pin: 'crc32'})
    return tried.filter(({works}) => works).map(({how, of}) => `${of} ${how}`)
  }

  test('with everything is found out in everything', async () => {
    isObeyed = () => true
    expect(await worksOf()).toEqual(HOWS)
    expect(await keysOf(store)).toEqual([])
  })

  test.each<[string, (request: IncomingMessage) => boolean, readonly string[]]>([
    ['deleting', ({method}) => method === 'DELETE', ['upload deletes', 'download deletes']],
    [
      'reading by everybody',
      ({method, url}) => method === 'GET' && url?.includes('?') !== true,
      ['download works without its signature'],
    ],
    [
      'listings',
      ({url}) => url?.startsWith('/bucket?') === true,
      ['upload lists', 'download lists'],
    ],
  ])('with %s is found out in that alone', async (_, obeyed, works) => {
    isObeyed = obeyed
    expect(await worksOf()).toEqual(works)
  })

  test('is told of by doctor, each way with its remedy', async () => {
    isObeyed = ({method, url}) =>
      method === 'DELETE' || (method === 'GET' && url?.includes('?') === false)
    const findings = (await checkStore(store, clock)).filter(({what}) => what === 'signed URLs')
    expect(findings).toMatchObject([
      {message: expect.stringContaining('download'), remedy: expect.stringContaining('public')},
      {message: expect.stringContaining('upload of'), remedy: expect.stringContaining('signature')},
      {message: expect.stringContaining('download of'), remedy: expect.stringContaining('R2')},
    ])
    expect(exitCodeOfFindings(findings)).toBe(78)
    expect(await keysOf(store)).toEqual([])
  })

  test('in nothing is praised by doctor', async () => {
    isObeyed = () => false
    const findings = await checkStore(store, clock)
    expect(findings.find(({what}) => what === 'signed URLs')?.state).toBe('good')
  })

  test('about nothing because it is too busy is told of as that', async () => {
    const sign = store.sign.bind(store)
    store.sign = async (request: SignRequest) => {
      if (request.seconds === undefined) return sign(request)
      throw new DumontError('STORE_BUSY', 'too busy')
    }
    isObeyed = () => false
    const findings = await checkStore(store, clock)
    expect(findings.find(({what}) => what === 'signed URLs')).toMatchObject({
      message: 'too busy',
      state: 'bad',
    })
  })
})

/** As a store should have it: this key, this method, these bytes, once, in time. */
async function isSigned(
  store: MemoryStore,
  {headers, method, url}: IncomingMessage,
  key: string,
  body: Uint8Array,
): Promise<boolean> {
  if (new URL(url ?? '', 'http://x').search !== `?signed=${method}${key}`) return false
  if (method !== 'PUT') return true
  const isPinned = headers['x-amz-checksum-crc32'] === pinOf('crc32', body).value
  const isOnce = headers['if-none-match'] === '*' && !(await store.head(key))
  return isPinned && isOnce && headers['x-amz-copy-source'] === undefined
}

async function obey(
  store: MemoryStore,
  {headers, method}: IncomingMessage,
  key: string,
  body: Uint8Array,
): Promise<number> {
  if (method === 'DELETE') await store.remove([key])
  else if (method === 'PUT') {
    const source = headers['x-amz-copy-source']
    const bytes =
      typeof source === 'string' ? await store.get(source.slice('/bucket/'.length)) : body
    await store.put(key, bytes, {onlyIfAbsent: false})
  } else if (key !== '' && !key.endsWith('/') && key.split('/').length === 3) await store.get(key)
  return 200
}
