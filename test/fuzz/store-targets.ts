import {once} from 'node:events'
import {createServer, type IncomingMessage, type Server} from 'node:http'
import type {AddressInfo} from 'node:net'
import {encodeRecord, parseRecord} from '../../src/lib/instances/record.js'
import {parseMounts} from '../../src/lib/instances/mount-fates.js'
import {isRemovable, readMarks} from '../../src/lib/snapshots/marks.js'
import {GatewaySigner} from '../../src/lib/store/gateway-signature.js'
import {assertKey, isKey} from '../../src/lib/store/keys.js'
import {MemoryStore} from '../../src/lib/store/memory-store.js'
import {pinOf} from '../../src/lib/store/pin.js'
import {openRepository} from '../../src/lib/store/repository.js'
import {S3Store} from '../../src/lib/store/s3-store.js'
import {ShiftedClock} from '../support/shifted-clock.js'
import {bufferOf, insist, refusing, type Target, textOf} from './target.js'

const texts = (...all: readonly string[]) => all.map((text) => Buffer.from(text))

/** Answers every request with the same bytes. */
class Answering {
  body: Uint8Array = Buffer.alloc(0)
  status = 200
  asked = 0
  #server: Server | undefined
  #store: S3Store | undefined

  async end(): Promise<void> {
    await this.#store?.close()
    this.#server?.closeAllConnections()
    this.#server?.close()
  }

  async store(): Promise<S3Store> {
    if (this.#store) return this.#store
    const server = createServer((_, response) => {
      this.asked += 1
      response.writeHead(this.status, {'content-type': 'application/xml'}).end(this.body)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    this.#server = server
    const {port} = this.#server.address() as AddressInfo
    this.#store = new S3Store(
      {
        kind: 's3',
        bucket: 'bucket',
        prefix: 'pre',
        region: 'auto',
        endpoint: `http://127.0.0.1:${port}`,
        credentials: {accessKeyId: 'a', secretAccessKey: 'never-shown'},
      },
      {attempts: 1, clock: new ShiftedClock()},
    )
    return this.#store
  }
}

const REFUSALS = [
  'ACCESS_DENIED',
  'BUCKET_MISSING',
  'CLOCK_SKEW',
  'CONFIG',
  'INTEGRITY',
  'STORE_BUSY',
  'STORE_UNSUITABLE',
  'UNREACHABLE',
] as const

const listing = new Answering()
const row = (key: string, size = '5') =>
  `<Contents><Key>${key}</Key><LastModified>2026-11-23T14:02:00.000Z</LastModified><ETag>"e"</ETag><Size>${size}</Size></Contents>`
const page = (rows: string, more = '<IsTruncated>false</IsTruncated>') =>
  `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name>${more}${rows}</ListBucketResult>`
const MORE = '<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>'

const s3List: Target = {
  name: 's3-list',
  end: () => listing.end(),
  isSlow: true,
  seeds: () =>
    texts(
      page(row('pre/packs/a/0-0-x') + row('pre/packs/a/1-0-x')),
      page(row('pre/packs/a/0-0-x'), MORE),
      page('', MORE),
      page(
        row('other/x') + row('pre/snapshots/a.json') + row('pre/../x') + row('pre/packs/b', '-1'),
      ),
    ),
  async run(input) {
    const store = await listing.store()
    listing.body = input
    listing.asked = 0
    let last = ''
    await refusing(REFUSALS, async () => {
      for await (const {key, length, modified} of store.list('packs/')) {
        insist(
          key.startsWith('packs/') && isKey(key) && key > last,
          `a key that was not asked for: ${key}`,
        )
        insist(
          Number.isSafeInteger(length) && length >= 0 && Number.isFinite(modified),
          `a size ${length}`,
        )
        last = key
      }
    })
    insist(listing.asked <= 20, `${listing.asked} requests for a listing that goes in a circle`)
  },
}

const refusal = new Answering()
const s3Error: Target = {
  name: 's3-error',
  end: () => refusal.end(),
  isSlow: true,
  seeds: () =>
    texts(
      '<?xml version="1.0"?><Error><Code>NoSuchBucket</Code><Message>gone</Message></Error>',
      '<Error><Code>SignatureDoesNotMatch</Code><StringToSign>AWS4 never-shown</StringToSign></Error>',
      '<Error><Code>SlowDown</Code></Error>',
    ),
  async run(input) {
    const store = await refusal.store()
    refusal.body = input
    refusal.status = [400, 403, 404, 409, 412, 503][input.length % 6] ?? 500
    await refusing(REFUSALS, () => store.get('packs/a'))
    await refusing(REFUSALS, () => store.put('packs/a', Buffer.from('x')))
    await refusing(REFUSALS, () => store.head('packs/a'))
  },
}

const ONE = 'packs/20261123T140200Z-k3f7qz/0-0-k7w2'

const objects: Target = {
  name: 'small-objects',
  seeds: () =>
    texts(
      JSON.stringify({format: 1, created: '2026-11-23T14:02:00.000Z', keys: [ONE]}),
      JSON.stringify({
        format: 1,
        id: '0123456789abcdef0123456789abcdef',
        created: '2026-11-23T14:02:00.000Z',
        pin: 'crc32',
      }),
    ),
  async run(input) {
    const store = new MemoryStore({clock: new ShiftedClock()})
    await store.put('gc/0123.json', input)
    await store.put('dumont.json', input)
    const marks = await refusing(['INTEGRITY', 'FORMAT_NEWER'], () => readMarks(store))
    for (const mark of marks?.marks ?? []) {
      insist(
        mark.keys.every((key) => isRemovable(key) && /^(?:packs|parity|index)\//.test(key)),
        'a mark on something else',
      )
      insist(Number.isFinite(mark.since), 'a mark without a time')
    }
    const repository = await refusing(['INTEGRITY', 'FORMAT_NEWER'], () =>
      openRepository(store, {create: false}),
    )
    insist(!repository || /^[0-9a-f]{32}$/.test(repository.id), 'a repository')
  },
}

const record: Target = {
  name: 'instance-record',
  seeds: () => texts('{"format":1,"state":"protected","claims":[],"snapshot":null}'),
  async run(input) {
    const found = await refusing(['INTEGRITY', 'FORMAT_NEWER'], () =>
      parseRecord(input, 'instances/vast-1-7/1'),
    )
    if (found) encodeRecord(found)
  },
}

const mounts: Target = {
  name: 'mounts',
  seeds: () =>
    texts('36 35 98:0 /mnt1 /mnt2\\040x rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n'),
  async run(input) {
    await refusing(['WORKER', 'INTEGRITY'], () => parseMounts(bufferOf(input)))
  },
}

const signer = new GatewaySigner()
const NOW = Date.UTC(2026, 10, 23)
const BYTES = Buffer.from('bytes')
const signedPut = signer.sign(
  {method: 'PUT', key: ONE, length: 5, pin: pinOf('crc32', BYTES)},
  80,
  NOW,
)
const signedGet = signer.sign({method: 'GET', key: ONE}, 80, NOW)
const requestOf = ({headers, method, url}: typeof signedPut) => ({
  method: method as string,
  url: url.slice('http://127.0.0.1:80'.length),
  headers,
})

const gateway: Target = {
  name: 'gateway-request',
  seeds: () =>
    [signedPut, signedGet].map((signed) => Buffer.from(JSON.stringify(requestOf(signed)))),
  run(input) {
    let request: ReturnType<typeof requestOf>
    try {
      request = JSON.parse(textOf(input)) as typeof request
    } catch {
      request = {method: 'GET', url: textOf(input), headers: {}}
    }
    // As Node's own parser hands it over.
    if (typeof request?.url !== 'string' || typeof request.method !== 'string') return
    if (typeof request.headers !== 'object' || request.headers === null) return
    if (Object.values(request.headers).some((value) => typeof value !== 'string')) return
    const verdict = signer.check(request as unknown as IncomingMessage, NOW)
    if (verdict.kind === 'refused') return
    insist(
      verdict.key === ONE && new URL(request.url, 'http://x').pathname === `/${ONE}`,
      'another key',
    )
    insist(request.method === (verdict.kind === 'put' ? 'PUT' : 'GET'), 'another method')
    if (verdict.kind === 'put')
      insist(
        verdict.length === 5 && verdict.pin.value === pinOf('crc32', BYTES).value,
        'another object',
      )
  },
}

const key: Target = {
  name: 'key',
  seeds: () => texts(ONE, 'dumont.json', 'snapshots/20261123T140200Z-k3f7qz.json', 'a/../b'),
  async run(input) {
    const text = textOf(input)
    await refusing(['INTEGRITY'], () => assertKey(text))
    insist(
      !isKey(text) || !/(?:^|\/)\.{0,2}(?:\/|$)|[\p{Cc}\s\\]/u.test(text),
      'a key that leads elsewhere',
    )
  },
}

export const STORE_TARGETS: readonly Target[] = [
  s3List,
  s3Error,
  objects,
  record,
  mounts,
  gateway,
  key,
]
