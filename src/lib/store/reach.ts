import type {Duplex} from 'node:stream'
import {throwIfInterrupted} from './interruption.js'
import {assertKey} from './keys.js'
import type {Gateway, SignedRequest, SignRequest, Store} from './store.js'

/** Makes connections to a port of the box arrive here; `Session.forward` is one. */
export type Forwarder = (
  onConnection: (connection: Duplex) => void,
  signal?: AbortSignal,
) => Promise<{readonly port: number; close(): Promise<void>}>

/** How one box reaches a store. */
export interface Reach {
  /** As `Store.sign`, but with URLs for that box. */
  sign(request: SignRequest): Promise<SignedRequest>
  close(): Promise<void>
}

/**
 * Opens what the box needs to reach the store: nothing for a `direct` store; for a `tunnel` store one forward on each of
 * `tunnels`, over which requests are spread, or a loopback listener when there are none because the box is this machine.
 */
export async function openReach(
  store: Store,
  tunnels: readonly Forwarder[],
  signal?: AbortSignal,
): Promise<Reach> {
  throwIfInterrupted(signal)
  const {gateway} = store
  if (!gateway || tunnels.length === 0)
    return {sign: (request) => store.sign(request), close: async () => {}}
  const forwards: Awaited<ReturnType<Forwarder>>[] = []
  const close = async () => {
    await Promise.allSettled(forwards.map((forward) => forward.close()))
  }
  try {
    for (const tunnel of tunnels)
      forwards.push(await tunnel((connection) => gateway.handle(connection), signal))
  } catch (error) {
    await close()
    throw error
  }
  return {
    sign: spread(
      gateway,
      forwards.map(({port}) => port),
    ),
    close,
  }
}

function spread(gateway: Gateway, ports: readonly number[]): Reach['sign'] {
  let next = 0
  return async (request) => {
    assertKey(request.key)
    const port = ports[next++ % ports.length] ?? 0
    return gateway.sign(request, port)
  }
}
