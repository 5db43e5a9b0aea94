import {once} from 'node:events'
import {type AddressInfo, connect, createServer, type Socket} from 'node:net'

export interface Relay {
  readonly port: number
  /** Resets every connection and refuses new ones until `mend`. */
  cut(): void
  mend(): void
  close(): Promise<void>
}

/** A TCP port on the loopback that leads to another one until it is cut. */
export async function startRelay(target: number): Promise<Relay> {
  const sockets = new Set<Socket>()
  let isCut = false
  const server = createServer((inner) => {
    if (isCut) {
      inner.resetAndDestroy()
      return
    }
    const outer = connect(target, '127.0.0.1')
    for (const socket of [inner, outer]) {
      sockets.add(socket)
      socket.setNoDelay(true).on('error', () => {})
      socket.once('close', () => {
        sockets.delete(socket)
        inner.destroy()
        outer.destroy()
      })
    }
    inner.pipe(outer).pipe(inner)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const reset = (): void => {
    for (const socket of sockets) socket.resetAndDestroy()
  }
  return {
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      reset()
      await closed
    },
    cut: () => {
      isCut = true
      reset()
    },
    mend: () => {
      isCut = false
    },
    port: (server.address() as AddressInfo).port,
  }
}
