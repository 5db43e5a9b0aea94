import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {createServer, connect, type AddressInfo, type Server, type Socket} from 'node:net'
import {once} from 'node:events'
import {Duplex} from 'node:stream'
import {createGateway} from '../../../src/lib/store/gateway.js'
import {MemoryStore} from '../../../src/lib/store/memory-store.js'
import {pinOf} from '../../../src/lib/store/pin.js'
import {openReach} from '../../../src/lib/store/reach.js'
import type {Shelf} from '../../../src/lib/store/shelf.js'
import {sendSigned} from '../../../src/lib/store/signed-http.js'
import type {Gateway} from '../../../src/lib/store/store.js'
import {DumontError} from '../../../src/lib/errors.js'
import {ShiftedClock} from '../../support/shifted-clock.js'

const text = (value: string) => Buffer.from(value)

/** A shelf whose disk is full when something has come. */
const full: Shelf = {
  receive: async (_, body) => {
    await body[Symbol.asyncIterator]().next()
    throw new DumontError('TARGET_UNWRITABLE', 'no space left in <the store>')
  },
  lengthOf: async () => undefined,
  send: async function* () {},
}

/** Connections that arrive on a foreign port and are handed over as bare streams, as SSH channels are. */
async function startTunnel() {
  const server: Server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sockets = new Set<Socket>()
  const forward = async (onConnection: (connection: Duplex) => void) => {
    server.on('connection', (socket) => {
      sockets.add(socket)
      onConnection(bare(socket))
    })
    return {port: (server.address() as AddressInfo).port, close: async () => void server.close()}
  }
  return {forward, server, sockets}
}

/** A duplex stream with nothing of a socket: no timeouts, no addresses. */
function bare(socket: Socket): Duplex {
  const stream = new Duplex({
    read: () => void socket.resume(),
    write: (piece, _, done) => void socket.write(piece, done),
    final: (done) => void socket.end(done),
    destroy: (error, done) => {
      socket.destroy()
      done(error)
    },
  })
  socket.on('data', (piece) => {
    if (!stream.push(piece)) socket.pause()
  })
  socket.on('end', () => stream.push(null)).on('error', (error) => stream.destroy(error))
  socket.on('close', () => stream.destroy())
  return stream
}

describe('the gateway', () => {
  const clock = new ShiftedClock()
  let store: MemoryStore

  beforeEach(() => {
    clock.shift = 0
    store = new MemoryStore({clock})
  })
  afterEach(() => store.close())

  const put = (bytes: Buffer, key = 'packs/a') =>
    ({method: 'PUT', key, length: bytes.length, pin: pinOf('crc32', bytes)}) as const

  test('serves boxes through tunnels alone, spread over all of them, and listens nowhere', async () => {
    const tunnels = await Promise.all([startTunnel(), startTunnel()])
    const gateway: Gateway = {
      ...methodsOf(store.gateway),
      listen: () => Promise.reject(new Error('must not listen')),
    }
    const tunnelled = Object.assign(store, {gateway})
    const reach = await openReach(
      tunnelled,
      tunnels.map(({forward}) => forward),
    )
    const bytes = Buffer.alloc(1_000_000, 'x')
    const ports = new Set<string>()
    for (const key of ['packs/a', 'packs/b']) {
      const signed = await reach.sign(put(bytes, key))
      ports.add(new URL(signed.url).port)
      expect(signed.headers).toMatchObject({'x-dumont-tunnel': '1'})
      expect((await sendSigned(signed, bytes)).status).toBe(200)
    }
    expect(ports.size).toBe(2)
    expect(reach.most).toBe(4)
    const {body} = await sendSigned(await reach.sign({method: 'GET', key: 'packs/a'}))
    expect(Buffer.compare(body, bytes)).toBe(0)
    await reach.close()
    await gateway.close()
  })

  test('is reached without a tunnel by a box that is this machine, with as many transfers as it likes', async () => {
    const reach = await openReach(store, [])
    expect(reach.most).toBe(Infinity)
    const signed = await reach.sign({method: 'GET', key: 'packs/a'})
    expect(Object.keys(signed.headers)).not.toContain('x-dumont-tunnel')
  })

  test('closes the tunnels it opened when one of them fails', async () => {
    const {forward, server} = await startTunnel()
    const failing = () => Promise.reject(new DumontError('UNREACHABLE', 'forwarding is forbidden'))
    await expect(openReach(store, [forward, failing])).rejects.toMatchObject({
      message: 'forwarding is forbidden',
    })
    expect(server.listening).toBe(false)
  })

  test('does not accept URLs of another gateway', async () => {
    const other = new MemoryStore({clock})
    const port = await store.gateway.listen()
    const signed = other.gateway.sign({method: 'GET', key: 'packs/a'}, port)
    expect((await sendSigned(signed)).status).toBe(403)
    await other.close()
  })

  test('tells expiry from forgery, so that a worker asks for a fresh URL', async () => {
    const signed = await store.sign(put(text('x')))
    clock.shift = 901_000
    const {status, body} = await sendSigned(signed, text('x'))
    expect([status, Buffer.from(body).toString()]).toEqual([
      403,
      expect.stringContaining('ExpiredRequest'),
    ])
  })

  test('does not let the expiry be moved', async () => {
    const signed = await store.sign(put(text('x')))
    const moved = signed.url.replace(/expires=(\d+)/, (_, time) => `expires=${Number(time) + 1000}`)
    expect((await sendSigned({...signed, url: moved}, text('x'))).status).toBe(403)
  })

  test.each([
    '/',
    '/../etc/passwd?expires=9999999999&signature=00',
    '/tmp/x?expires=9999999999',
    '//x',
    '/%2e%2e/x?expires=1',
  ])('refuses %s', async (target) => {
    const url = `http://127.0.0.1:${await store.gateway.listen()}${target}`
    expect((await sendSigned({method: 'GET', url, headers: {}})).status).toBe(403)
  })

  test('asks for the length of an upload (411)', async () => {
    const {url, headers} = await store.sign(put(text('x')))
    const {'content-length': _, ...others} = headers
    const lines = Object.entries({...others, 'transfer-encoding': 'chunked'}).map(
      ([name, value]) => `${name}: ${value}`,
    )
    const {port, pathname, search} = new URL(url)
    const answer = await converse(
      Number(port),
      `PUT ${pathname}${search} HTTP/1.1\r\nhost: x\r\n${lines.join('\r\n')}\r\n\r\n1\r\nx\r\n0\r\n\r\n`,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 411 /)
  })

  test('survives what is not HTTP', async () => {
    const port = await store.gateway.listen()
    expect(await converse(port, '\0\x01\x02 nonsense\r\n\r\n')).toMatch(/^(HTTP\/1\.1 400 .*)?/)
    expect((await sendSigned(await store.sign(put(text('x'))), text('x'))).status).toBe(200)
  })

  test('says what the store says when it cannot write', async () => {
    const gateway = createGateway(full, {clock})
    const bytes = Buffer.alloc(200_000)
    const {status, body} = await sendSigned(gateway.sign(put(bytes), await gateway.listen()), bytes)
    expect([status, Buffer.from(body).toString()]).toEqual([
      507,
      expect.stringContaining('no space left in &lt;the store&gt;'),
    ])
    await gateway.close()
  })

  test('takes the rest of an upload it has refused, so that the sender comes to read why', async () => {
    const gateway = createGateway(full, {clock})
    const bytes = Buffer.alloc(16 << 20)
    const {url, headers} = gateway.sign(put(bytes), await gateway.listen())
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
    const {port, pathname, search} = new URL(url)
    const socket = connect(Number(port), '127.0.0.1').pause()
    const head = `PUT ${pathname}${search} HTTP/1.1\r\nhost: x\r\n${lines.join('\r\n')}\r\n\r\n`
    socket.setTimeout(5000, () => socket.destroy(new Error('the rest was not taken')))
    try {
      socket.write(head)
      await new Promise((resolve) => socket.write(bytes, resolve))
      const [answer] = (await once(socket.resume(), 'data')) as [Buffer]
      expect(answer.toString()).toMatch(/^HTTP\/1\.1 507 /u)
    } finally {
      socket.destroy()
      await gateway.close()
    }
  })

  test('cuts off an upload that falls silent', async () => {
    const gateway = createGateway(store, {clock, idleMs: 50})
    const {url, headers} = gateway.sign(put(Buffer.alloc(1000)), await gateway.listen())
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
    const {port, pathname, search} = new URL(url)
    const head = `PUT ${pathname}${search} HTTP/1.1\r\nhost: x\r\n${lines.join('\r\n')}\r\n\r\n`
    await converse(Number(port), `${head}half of it`)
    expect(await store.head('packs/a')).toBeUndefined()
    await gateway.close()
  })

  test('cuts off a reader that takes nothing', async () => {
    const gateway = createGateway(store, {clock, idleMs: 50})
    await store.put('packs/a', Buffer.alloc(20_000_000))
    const {forward, sockets, server} = await startTunnel()
    const {port} = await forward((connection) => gateway.handle(connection))
    const {pathname, search} = new URL(gateway.sign({method: 'GET', key: 'packs/a'}, port).url)
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(`GET ${pathname}${search} HTTP/1.1\r\nhost: x\r\n\r\n`)
    // Nothing more is read: the kernel's buffers fill up, then the gateway waits, then it ends the connection.
    await once(socket, 'readable')
    const [served] = sockets
    if (served && !served.destroyed) await once(served, 'close')
    expect(served?.destroyed).toBe(true)
    socket.destroy()
    server.close()
    await gateway.close()
  })

  test('ends everything that is open when it closes', async () => {
    const port = await store.gateway.listen()
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const closed = once(socket, 'close')
    await store.close()
    await closed
    await expect(once(connect(port, '127.0.0.1'), 'connect')).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    })
  })
})

function methodsOf(gateway: Gateway): Gateway {
  return {
    close: () => gateway.close(),
    handle: (connection) => gateway.handle(connection),
    listen: () => gateway.listen(),
    sign: (request, port) => gateway.sign(request, port),
  }
}

/** Sends raw text and returns everything answered until the server ends the connection or falls silent. */
async function converse(port: number, sent: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  let answer = ''
  socket.on('data', (piece: Buffer) => {
    answer += piece.toString()
    if (answer.includes('\r\n\r\n')) socket.destroy()
  })
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write(sent)
  await closed
  return answer
}
