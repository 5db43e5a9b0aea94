import {once} from 'node:events'
import {type AddressInfo, connect, createServer, type Server, type Socket} from 'node:net'

/** How a port behaves: `filtered` takes the connection and never says a word. */
export type GateMode = 'filtered' | 'open' | 'refused'

/** A port of the loopback in front of a real one, asked anew at each connection how it behaves. */
export class Gate {
  port = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(target: () => number, mode: () => GateMode) {
    this.#server = createServer((socket) => {
      this.#keep(socket)
      const now = mode()
      if (now === 'refused') socket.resetAndDestroy()
      if (now === 'open') this.#join(socket, this.#keep(connect(target(), '127.0.0.1')))
    })
  }

  static async open(target: () => number, mode: () => GateMode): Promise<Gate> {
    const gate = new Gate(target, mode)
    gate.#server.listen(0, '127.0.0.1')
    await once(gate.#server, 'listening')
    gate.port = (gate.#server.address() as AddressInfo).port
    return gate
  }

  /** Ends every connection, as a machine that goes away does. */
  cut(): void {
    // Not a reset: that fails, and keeps the process from ending, when the other side has already said goodbye.
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.cut()
    await closed
  }

  #join(socket: Socket, onward: Socket): void {
    socket.pipe(onward).pipe(socket)
    socket.once('close', () => onward.destroy())
    onward.once('close', () => socket.destroy())
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket)
    return socket.on('error', () => {}).once('close', () => this.#sockets.delete(socket))
  }
}
