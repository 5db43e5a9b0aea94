import {once} from 'node:events'
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http'
import type {AddressInfo, Socket} from 'node:net'
import type {Clock} from '../../src/lib/clock.js'
import {type Fault, Faults} from './vast/faults.js'
import {type Arrival, type Fields, isFields, type Recorded, type Reply} from './vast/reply.js'

/** What a vendor makes of one request: which endpoint it is for, and the work, which is done only when no fault prevents it. */
export interface Handling {
  readonly endpoint: string
  readonly work: () => Reply
}

/** A real HTTP server on the loopback that records every request and fails on demand; what it says is up to `handle`. */
export class FakeVendor {
  readonly requests: Recorded[] = []
  readonly faults = new Faults()
  readonly clock: Clock
  base = new URL('http://127.0.0.1')
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #handle: (arrival: Arrival) => Handling

  constructor(clock: Clock, handle: (arrival: Arrival) => Handling) {
    this.clock = clock
    this.#handle = handle
    this.#server = createServer((request, response) => void this.#serve(request, response))
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => {}).once('close', () => this.#sockets.delete(socket))
    })
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    this.base = new URL(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`)
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  /** The requests to one endpoint, in their order. */
  to(endpoint: string): readonly Recorded[] {
    return this.requests.filter((request) => request.endpoint === endpoint)
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const arrival = this.#arrival(request, Buffer.concat(pieces).toString('utf8'))
    const {endpoint, work} = this.#handle(arrival)
    const recorded: Recorded = {...arrival, endpoint, status: undefined}
    this.requests.push(recorded)
    const fault = this.faults.next(endpoint, arrival)
    const reply = outcome(fault, work)
    if (!reply) {
      if (fault?.kind === 'reset') response.socket?.resetAndDestroy()
      return
    }
    recorded.status = reply.status
    const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body)
    response.writeHead(reply.status, {'content-type': 'application/json', ...reply.headers})
    response.end(fault?.kind === 'truncate' ? text.slice(0, text.length / 2) : text)
  }

  #arrival({headers, method = '', url = ''}: IncomingMessage, text: string): Arrival {
    const {pathname, searchParams} = new URL(url, this.base)
    const at = this.clock.now()
    return {at, method, path: pathname, query: searchParams, headers, text, body: parsed(text)}
  }
}

/** Undefined when nothing is answered. */
function outcome(fault: Fault | undefined, work: () => Reply): Reply | undefined {
  if (!fault || fault.kind === 'truncate' || fault.kind === 'dribble') return work()
  if (fault.kind === 'edit') {
    const reply = work()
    return {...reply, body: fault.edit(reply.body as Fields)}
  }
  if (fault.after) work()
  return fault.kind === 'reply' ? fault.reply : undefined
}

export function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {}
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
