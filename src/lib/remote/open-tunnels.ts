import type {Duplex} from 'node:stream'

import type {Forward, Session} from './session.js'

export interface Tunnels {
  /** One port on the box's loopback per connection. */
  readonly ports: readonly number[]
  /** Rejects when any of the connections is lost; never resolves otherwise. */
  readonly lost: Promise<never>
  close(): Promise<void>
}

/** Opens `count` sessions of their own for data, so that bulk never stands in the way of control. All or none. */
export async function openTunnels(
  count: number,
  open: () => Promise<Session>,
  onConnection: (socket: Duplex) => void,
  signal?: AbortSignal,
): Promise<Tunnels> {
  const attempts = await Promise.allSettled(
    Array.from({length: count}, () => openTunnel(open, onConnection, signal)),
  )
  const opened = attempts.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const close = async () => {
    await Promise.all(opened.map(({session}) => session.close()))
  }
  const failed = attempts.find((one) => one.status === 'rejected')
  if (failed !== undefined) {
    await close()
    throw failed.reason
  }
  const lost = Promise.race(opened.map(({session}) => session.lost))
  lost.catch(() => {})
  return {close, lost, ports: opened.map(({forward}) => forward.port)}
}

async function openTunnel(
  open: () => Promise<Session>,
  onConnection: (socket: Duplex) => void,
  signal?: AbortSignal,
): Promise<{session: Session; forward: Forward}> {
  const session = await open()
  try {
    return {forward: await session.forward(onConnection, signal), session}
  } catch (error) {
    await session.close()
    throw error
  }
}
