import type {Duplex} from 'node:stream'
import {throwIfInterrupted} from './interruption.js'
import {assertKey} from './keys.js'
import type {Gateway, SignedRequest, SignRequest, Store} from './store.js'

/** Makes connections to a port of the box arrive here; `Session.forward` is one. */
export type Forwarder = (
  onConnection: (connection: Duplex) => void,
  signal?: AbortSignal,
) => Promise<{readonly port: number; close(): Promise<void>}>

/**
 * Transfers at a time through one tunnel. Each may have 2 MiB on its way, one behind the other: more make every one of them
 * slow without making all of them faster.
 */
const TUNNEL_TRANSFERS = 2

/** Says to the worker that a URL leads into a tunnel, where no transfer is faster over a connection of its own. */
const TUNNEL_HEADER = {'x-dumont-tunnel': '1'}

/** How one box reaches a store. */
export interface Reach {
  /** More transfers at a time than this are of no use. */
  readonly most: number
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
    return {most: Infinity, sign: (request) => store.sign(request), close: async () => {}}
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
    most: TUNNEL_TRANSFERS * forwards.length,
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
    const signed = gateway.sign(request, port)
    return {...signed, headers: {...signed.headers, ...TUNNEL_HEADER}}
  }
}
