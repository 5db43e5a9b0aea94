import {setMaxListeners} from 'node:events'
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http'
import {once} from 'node:events'
import type {AddressInfo} from 'node:net'
import type {Duplex} from 'node:stream'
import type {Clock} from '../clock.js'
import {isDumontError} from '../errors.js'
import {GatewaySigner, type Refusal} from './gateway-signature.js'
import {GATEWAY_IDLE_MS, withoutSilence} from './idle.js'
import type {Expected, Received, Shelf} from './shelf.js'
import type {Gateway, SignedRequest, SignRequest} from './store.js'

interface GatewayOptions {
  readonly clock: Clock
  /** Silence on a connection, in the middle of a body, after which it is given up. */
  readonly idleMs?: number
}

/** Serves a shelf over HTTP to holders of signed, expiring, pinned URLs; answers like S3. */
export function createGateway(
  shelf: Shelf,
  {clock, idleMs = GATEWAY_IDLE_MS}: GatewayOptions,
): Gateway {
  return new HttpGateway(shelf, clock, idleMs)
}

class HttpGateway implements Gateway {
  readonly #shelf: Shelf
  readonly #clock: Clock
  readonly #idleMs: number
  readonly #signer = new GatewaySigner()
  readonly #connections = new Set<Duplex>()
  readonly #closing = new AbortController()
  readonly #server: Server
  #port: Promise<number> | undefined

  constructor(shelf: Shelf, clock: Clock, idleMs: number) {
    this.#shelf = shelf
    this.#clock = clock
    this.#idleMs = idleMs
    // Every transfer in flight listens to it, and there may be hundreds.
    setMaxListeners(0, this.#closing.signal)
    this.#server = createServer(
      {keepAliveTimeout: idleMs, requestTimeout: 0},
      (request, response) => {
        this.#answer(request, response).catch(() => response.destroy())
      },
    )
    this.#server.timeout = idleMs
    this.#server.on('connection', (connection: Duplex) => this.#remember(connection))
  }

  handle(connection: Duplex): void {
    if (this.#closing.signal.aborted) connection.destroy()
    else this.#server.emit('connection', connection)
  }

  listen(): Promise<number> {
    this.#port ??= this.#listen()
    return this.#port
  }

  sign(request: SignRequest, port: number): SignedRequest {
    return this.#signer.sign(request, port, this.#clock.now())
  }

  async close(): Promise<void> {
    this.#closing.abort()
    for (const connection of this.#connections) connection.destroy()
    if (!this.#port) return
    await this.#port.catch(() => {})
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  #remember(connection: Duplex): void {
    this.#connections.add(connection)
    connection.once('close', () => this.#connections.delete(connection))
    // A peer that goes away in the middle is the request's failure, told there; it must not end the process.
    connection.on('error', () => connection.destroy())
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const verdict = this.#signer.check(request, this.#clock.now())
    if (verdict.kind === 'get') return this.#get(verdict.key, request, response)
    if (verdict.kind === 'put') return this.#put(verdict, request, response)
    refuse(response, verdict)
  }

  async #put(
    {key, ...expected}: Expected & {readonly key: string},
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    // Stopping to read must not reset the connection: the refusal is still to be heard.
    const pieces = request.iterator({destroyOnReturn: false})
    const body = withoutSilence(pieces, this.#idleMs, this.#closing.signal)
    try {
      const refusal =
        PUT_REFUSALS[await this.#shelf.receive(key, body, expected, this.#closing.signal)]
      if (refusal) refuse(response, refusal)
      else response.writeHead(200, {'content-length': 0}).end()
    } catch (error) {
      // A peer that fell silent or went away hears nothing; a store that cannot write is said to it.
      if (request.destroyed || !isDumontError(error) || error.code === 'UNREACHABLE') throw error
      const isFull = error.code === 'TARGET_UNWRITABLE'
      const kind = isFull ? {status: 507, code: 'InsufficientStorage'} : INTERNAL
      refuse(response, {...kind, message: error.message})
    }
    await this.#drain(request)
  }

  /** Takes what is left of a refused body: a sender that has not sent all does not come to read why. */
  async #drain(request: IncomingMessage): Promise<void> {
    const rest = withoutSilence(request.iterator(), this.#idleMs, this.#closing.signal)
    for await (const piece of rest) void piece
  }

  async #get(key: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const length = await this.#shelf.lengthOf(key)
    if (length === undefined)
      return refuse(response, {status: 404, code: 'NoSuchKey', message: 'No such object'})
    const range = rangeOf(request.headers.range, length)
    if (range === 'outside')
      return refuse(response, {
        status: 416,
        code: 'InvalidRange',
        message: `The object has ${length} bytes`,
      })
    const {first, last} = range ?? {first: 0, last: length - 1}
    response.writeHead(range ? 206 : 200, {
      'accept-ranges': 'bytes',
      'content-length': last - first + 1,
      'content-type': 'application/octet-stream',
      ...(range && {'content-range': `bytes ${first}-${last}/${length}`}),
    })
    if (last >= first) await this.#send(this.#shelf.send(key, first, last), response)
    response.end()
  }

  async #send(body: AsyncIterable<Uint8Array>, response: ServerResponse): Promise<void> {
    for await (const piece of body) {
      if (response.destroyed) return
      if (!response.write(piece)) await this.#drained(response)
    }
  }

  /** Resolves when the peer took some, or is gone: one that takes nothing for too long is cut off. */
  #drained(response: ServerResponse): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => response.destroy(), this.#idleMs)
      const settle = () => {
        clearTimeout(timer)
        response.off('drain', settle).off('close', settle)
        resolve()
      }
      response.on('drain', settle).on('close', settle)
    })
  }
}

const INTERNAL = {status: 500, code: 'InternalError'}
const PUT_REFUSALS: Readonly<Record<Received, Refusal | undefined>> = {
  created: undefined,
  cut: {status: 400, code: 'IncompleteBody', message: 'Other length than signed'},
  damaged: {status: 400, code: 'BadDigest', message: 'Other bytes than signed'},
  exists: {status: 412, code: 'PreconditionFailed', message: 'The object exists'},
}

function refuse(response: ServerResponse, {status, code, message}: Refusal): void {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${escapeXml(message)}</Message></Error>`
  response
    .writeHead(status, {
      'content-type': 'application/xml',
      'content-length': Buffer.byteLength(body),
    })
    .end(body)
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/** One `bytes=first-last` within the object; undefined (the whole) where there is none or it is of another form, as HTTP has it. */
function rangeOf(
  header: string | undefined,
  length: number,
): {first: number; last: number} | 'outside' | undefined {
  const match = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(header ?? '')
  if (!match) return undefined
  const first = Number(match[1])
  const last = match[2] === '' ? length - 1 : Math.min(Number(match[2]), length - 1)
  if (match[2] !== '' && Number(match[2]) < first) return undefined
  return first >= length ? 'outside' : {first, last}
}
