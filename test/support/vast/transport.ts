import {once} from 'node:events'
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http'
import type {AddressInfo, Socket} from 'node:net'
import type {Fault, Faults} from './faults.js'
import {type Arrival, isFields, type Recorded, type Reply} from './reply.js'

export interface Handled {
  readonly endpoint: string
  /** Does the work; not called when a fault strikes before. */
  readonly work: () => Promise<Reply> | Reply
}

interface Parts {
  readonly now: () => number
  readonly faults: Faults
  readonly handle: (arrival: Arrival) => Handled
}

/** A real HTTP server on the loopback: records what arrives and lets faults strike before and after the work. */
export class Transport {
  readonly requests: Recorded[] = []
  url = ''
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
    this.#server = createServer((request, response) => void this.#serve(request, response))
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => {}).once('close', () => this.#sockets.delete(socket))
    })
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** A second time does nothing. */
  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const arrival = await this.#arrive(request)
    const {endpoint, work} = this.#parts.handle(arrival)
    const recorded: Recorded = {...arrival, endpoint, status: undefined}
    this.requests.push(recorded)
    const fault = this.#parts.faults.next(endpoint, arrival)
    const strikesFirst = fault !== undefined && isCut(fault) && !isAfter(fault)
    const reply = strikesFirst ? undefined : await work()
    const answer = fault ? spoil(fault, reply) : reply
    if (answer === 'stall') return
    if (answer === 'reset' || answer === undefined) return reset(response)
    recorded.status = answer.status
    await send(response, answer, fault?.kind)
  }

  async #arrive(request: IncomingMessage): Promise<Arrival> {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const text = Buffer.concat(pieces).toString('utf8')
    const url = new URL(request.url ?? '/', this.url)
    return {
      at: this.#parts.now(),
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      text,
      body: parse(text),
    }
  }
}

function isCut({kind}: Fault): boolean {
  return kind === 'reply' || kind === 'reset' || kind === 'stall'
}

function isAfter(fault: Fault): boolean {
  return 'after' in fault && fault.after
}

function spoil(fault: Fault, reply: Reply | undefined): Reply | 'reset' | 'stall' | undefined {
  if (fault.kind === 'reset' || fault.kind === 'stall') return fault.kind
  if (fault.kind === 'reply') return fault.reply
  if (!reply) return reply
  if (fault.kind === 'edit')
    return {...reply, body: isFields(reply.body) ? fault.edit(reply.body) : reply.body}
  if (fault.kind === 'dribble') return reply
  const text = textOf(reply)
  return {...reply, body: text.slice(0, Math.floor(text.length / 2))}
}

async function send(response: ServerResponse, reply: Reply, kind?: Fault['kind']): Promise<void> {
  const type = typeof reply.body === 'string' ? 'text/plain' : 'application/json'
  response.writeHead(reply.status, {'content-type': type, ...reply.headers})
  const text = textOf(reply)
  if (kind !== 'dribble') return void response.end(text)
  for (const letter of text) {
    response.write(letter)
    await new Promise((resolve) => setImmediate(resolve))
  }
  response.end()
}

function textOf({body}: Reply): string {
  return typeof body === 'string' ? body : JSON.stringify(body)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function reset(response: ServerResponse): void {
  const {socket} = response
  if (socket && !socket.destroyed) socket.resetAndDestroy()
}
