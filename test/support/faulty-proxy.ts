import {once} from 'node:events'
import {
  createServer,
  type IncomingMessage,
  request as sendRequest,
  type RequestOptions,
  type Server,
  type ServerResponse,
} from 'node:http'
import type {AddressInfo, Socket} from 'node:net'

/** What goes wrong with one request. */
export type Fault =
  /** The connection is reset after so many bytes of the request's body reached the store. */
  | {readonly kind: 'cut-request'; readonly afterBytes: number}
  /** The store does its work, then the connection is reset before its answer arrives: an ambiguous request. */
  | {readonly kind: 'drop-response'}
  /** The store never sees the request. */
  | {
      readonly kind: 'status'
      readonly status: number
      readonly code?: string
      readonly message?: string
      readonly headers?: Record<string, string>
    }
  /** The announced length stays, the connection ends early. */
  | {readonly kind: 'truncate-body'; readonly afterBytes: number}
  /** One byte of the answer's body is another. */
  | {readonly kind: 'corrupt-body'; readonly at: number}
  /** The request is swallowed and nothing is ever answered. */
  | {readonly kind: 'stall'}
  /** The answer's head and so many bytes arrive, then nothing. */
  | {readonly kind: 'stall-body'; readonly afterBytes: number}
  /** The store's clock is wrong by so many milliseconds. */
  | {readonly kind: 'skew'; readonly milliseconds: number}
  /** A header of the request is taken away on its way, as a store that does not know it would. */
  | {readonly kind: 'ignore-header'; readonly header: string}
  /** A header of the answer is taken away. */
  | {readonly kind: 'hide-header'; readonly header: string}

export interface FaultRule {
  readonly fault: Fault
  readonly method?: string
  /** Matched against path and query. */
  readonly path?: RegExp
  /** How many requests are hit; default 1. */
  readonly times?: number
  /** How many matching requests pass first; default 0. */
  readonly skip?: number
}

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly fault: Fault['kind'] | undefined
}

export interface FaultyProxy {
  readonly endpoint: string
  readonly requests: readonly SeenRequest[]
  inject(rule: FaultRule): void
  /** Forgets rules and requests; connections of requests that stall are reset. */
  clear(): void
  close(): Promise<void>
}

/** An HTTP server on the loopback that passes everything to `target`, except for what the rules spoil. */
export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  const proxy = new Proxy(new URL(target))
  await proxy.listen()
  return proxy
}

class Proxy implements FaultyProxy {
  readonly requests: SeenRequest[] = []
  endpoint = ''
  readonly #target: URL
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #stalled = new Set<ServerResponse>()
  #rules: {rule: FaultRule; skip: number; times: number}[] = []

  constructor(target: URL) {
    this.#target = target
    this.#server = createServer((request, response) => this.#serve(request, response))
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => {}).once('close', () => this.#sockets.delete(socket))
    })
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    this.endpoint = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  inject(rule: FaultRule): void {
    this.#rules.push({rule, skip: rule.skip ?? 0, times: rule.times ?? 1})
  }

  clear(): void {
    this.#rules = []
    this.requests.length = 0
    for (const response of this.#stalled) reset(response)
    this.#stalled.clear()
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const fault = this.#faultFor(request)
    this.requests.push({method: request.method ?? '', path: request.url ?? '', fault: fault?.kind})
    if (fault?.kind === 'stall') {
      this.#stalled.add(response)
      response.once('close', () => this.#stalled.delete(response))
      return void request.resume()
    }
    if (fault?.kind === 'status') return answer(request, response, fault)
    this.#forward(request, response, fault)
  }

  #faultFor(request: IncomingMessage): Fault | undefined {
    for (const entry of this.#rules) {
      const {rule} = entry
      const matches =
        (rule.method ?? request.method) === request.method &&
        (rule.path?.test(request.url ?? '') ?? true)
      if (!matches || entry.times === 0) continue
      if (entry.skip > 0) {
        entry.skip--
        continue
      }
      entry.times--
      return rule.fault
    }
    return undefined
  }

  #forward(request: IncomingMessage, response: ServerResponse, fault: Fault | undefined): void {
    const upstream = sendRequest(this.#options(request, fault), (reply) =>
      pass(reply, response, fault),
    )
    upstream.on('error', () => reset(response))
    response.on('close', () => upstream.destroy())
    let sent = 0
    request.on('data', (piece: Buffer) => {
      const limit = fault?.kind === 'cut-request' ? fault.afterBytes : Number.POSITIVE_INFINITY
      const kept = piece.subarray(0, Math.max(0, limit - sent))
      sent += piece.length
      upstream.write(kept)
      if (sent < limit) return
      reset(response)
      // What was kept must reach the store before its connection is cut too.
      setImmediate(() => upstream.destroy())
    })
    request.on('end', () => {
      if (!upstream.destroyed) upstream.end()
    })
  }

  #options(request: IncomingMessage, fault: Fault | undefined): RequestOptions {
    const hidden = fault?.kind === 'ignore-header' ? fault.header : undefined
    const pairs = Array.from({length: request.rawHeaders.length / 2}, (_, index) =>
      request.rawHeaders.slice(2 * index, 2 * index + 2),
    )
    return {
      host: this.#target.hostname,
      port: this.#target.port,
      method: request.method,
      path: request.url,
      headers: pairs.filter(([name]) => name?.toLowerCase() !== hidden).flat(),
      agent: false,
    }
  }
}

function pass(reply: IncomingMessage, response: ServerResponse, fault: Fault | undefined): void {
  if (fault?.kind === 'drop-response') {
    reply.resume().on('end', () => reset(response))
    return
  }
  const headers = {...reply.headers}
  if (fault?.kind === 'hide-header') delete headers[fault.header]
  if (fault?.kind === 'skew')
    headers['date'] = new Date(Date.now() + fault.milliseconds).toUTCString()
  response.sendDate = false
  response.writeHead(reply.statusCode ?? 502, headers)
  let at = 0
  reply.on('data', (piece: Buffer) => {
    at += piece.length
    spoil(response, piece, at - piece.length, fault)
  })
  reply.on('end', () => {
    if (fault?.kind !== 'stall-body') response.end()
  })
}

function spoil(
  response: ServerResponse,
  piece: Buffer,
  at: number,
  fault: Fault | undefined,
): void {
  if (fault?.kind === 'corrupt-body' && fault.at >= at && fault.at < at + piece.length)
    piece[fault.at - at] = (piece[fault.at - at] ?? 0) ^ 0x40
  const ends = fault?.kind === 'truncate-body' || fault?.kind === 'stall-body'
  const kept = ends ? piece.subarray(0, Math.max(0, fault.afterBytes - at)) : piece
  response.write(kept)
  if (fault?.kind === 'truncate-body' && at + piece.length > fault.afterBytes)
    setImmediate(() => reset(response))
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  {
    status,
    code = 'InternalError',
    headers = {},
    message = 'injected',
  }: Extract<Fault, {kind: 'status'}>,
): void {
  request.resume().on('end', () => {
    const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`
    response
      .writeHead(status, {'content-type': 'application/xml', ...headers})
      .end(request.method === 'HEAD' ? '' : body)
  })
}

function reset(response: ServerResponse): void {
  const {socket} = response
  if (socket && !socket.destroyed) socket.resetAndDestroy()
}
