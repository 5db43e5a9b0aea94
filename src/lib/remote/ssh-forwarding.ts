import type {Duplex} from 'node:stream'

import type {Forward} from './session.js'
import {attempted} from './ssh-attempt.js'
import {forwardFailure, type TransportError} from './ssh-failure.js'
import type {SshClient} from './ssh-library.js'

/** One listener for all forwarded ports: ssh2 reports every connection to every listener. */
export function portForwarding(client: SshClient, label: string) {
  const receivers = new Map<number, (socket: Duplex) => void>()
  client.on(
    'tcp connection',
    ({destPort}: {destPort: number}, accept: () => Duplex, reject: () => void) => {
      const receive = receivers.get(destPort)
      if (receive === undefined) reject()
      else receive(accept())
    },
  )
  return async (onConnection: (socket: Duplex) => void): Promise<Forward> => {
    const port = await listenOnBox(client, label)
    receivers.set(port, onConnection)
    return {
      close: async () => {
        receivers.delete(port)
        await stopListening(client, port)
      },
      port,
    }
  }
}

function listenOnBox(client: SshClient, label: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const failed = (error: TransportError) => reject(forwardFailure(label, error))
    attempted(failed, () =>
      client.forwardIn('127.0.0.1', 0, (error, port) => (error ? failed(error) : resolve(port))),
    )
  })
}

/** A port the server no longer knows, or a connection that is gone, is as good as closed. */
function stopListening(client: SshClient, port: number): Promise<void> {
  return new Promise((resolve) => {
    client.once('close', () => resolve())
    attempted(
      () => resolve(),
      () => client.unforwardIn('127.0.0.1', port, () => resolve()),
    )
  })
}
