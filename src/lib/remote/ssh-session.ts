import {connect} from 'node:net'
import type {Duplex} from 'node:stream'

import {abortable} from './abortable.js'
import {runToEnd} from './run-to-end.js'
import type {RemoteProcess, Session} from './session.js'
import {shellCommand} from './shell-words.js'
import {channelProcess} from './ssh-channel.js'
import {connectHost} from './ssh-connect.js'
import {DEFAULT_TIMINGS, type SshDependencies} from './ssh-dependencies.js'
import {
  channelFailure,
  connectFailure,
  connectionLost,
  jumpFailure,
  type TransportError,
} from './ssh-failure.js'
import {attempted} from './ssh-attempt.js'
import {portForwarding} from './ssh-forwarding.js'
import type {SshClient, SshLibrary} from './ssh-library.js'
import type {SshTarget} from './ssh-target.js'

/**
 * Opens an authenticated session with a verified host, through its jump hosts if it has any.
 * Errors: UNREACHABLE, AUTHENTICATION, HOST_KEY_UNKNOWN, HOST_KEY_CHANGED, each naming the host it is about.
 */
export async function openSshSession(
  target: SshTarget,
  dependencies: SshDependencies,
  signal?: AbortSignal,
): Promise<Session> {
  // Loading ssh2 takes longer than most commands; only those that connect pay for it.
  const {default: ssh2} = await import('ssh2')
  const library = ssh2 as unknown as SshLibrary
  const chain: SshClient[] = []
  const streams: Duplex[] = []
  try {
    for (const [at, hop] of [...target.jumps, target].entries()) {
      const through = chain.at(-1)
      const dial = async (stop: AbortSignal) => {
        const jump = target.jumps[at - 1]?.label ?? ''
        const stream = await (through
          ? dialThrough(through, jump, hop, stop)
          : dialDirectly(hop, stop))
        streams.push(stream)
        return stream
      }
      chain.push(await connectHost(hop, dial, {...dependencies, library}, signal))
    }
  } catch (error) {
    for (const stream of streams) stream.destroy()
    throw error
  }
  const {closeMs} = dependencies.timings ?? DEFAULT_TIMINGS
  return sessionOver({chain, closeMs, streams}, target.label)
}

/** The socket is ours, not ssh2's, so that it can be destroyed when the peer no longer answers. */
async function dialDirectly({host, port, label}: SshTarget, signal: AbortSignal): Promise<Duplex> {
  const socket = connect({host, keepAlive: true, noDelay: true, port})
  const connected = new Promise<Duplex>((resolve, reject) => {
    socket.once('connect', () => resolve(socket))
    socket.on('error', (error) => reject(connectFailure(label, error)))
  })
  try {
    return await abortable(connected, signal)
  } catch (error) {
    socket.destroy()
    throw error
  }
}

function dialThrough(
  client: SshClient,
  jump: string,
  {host, port, label}: SshTarget,
  signal: AbortSignal,
): Promise<Duplex> {
  const opened = new Promise<Duplex>((resolve, reject) => {
    const failed = (error: TransportError) => reject(jumpFailure(jump, label, error))
    client.once('close', () => failed(new Error('the connection was closed')))
    attempted(failed, () =>
      client.forwardOut('127.0.0.1', 0, host, port, (error, stream) =>
        error ? failed(error) : resolve(stream),
      ),
    )
  })
  return abortable(opened, signal)
}

interface Transport {
  /** One client per hop, the box's own last. */
  readonly chain: readonly SshClient[]
  readonly streams: readonly Duplex[]
  readonly closeMs: number
}

function sessionOver(over: Transport, label: string): Session {
  const client = over.chain.at(-1) as SshClient
  const transport = watch(over, label)
  const start = async (argv: readonly string[], signal?: AbortSignal) => {
    const starting = startProgram(client, argv, label, transport.gone)
    try {
      return await abortable(Promise.race([starting, transport.gone]), signal)
    } catch (error) {
      // Nobody waits for it any more; if it starts all the same, it must not stay.
      starting.then((program) => program.kill()).catch(() => {})
      throw error
    }
  }
  const forwarding = portForwarding(client, label)
  return {
    close: () => transport.close(),
    exec: async (argv, options = {}) => {
      const running = await start(argv, options.signal)
      return runToEnd(running, {label, name: argv[0] ?? ''}, options)
    },
    forward: (onConnection, signal) =>
      abortable(Promise.race([forwarding(onConnection), transport.gone]), signal),
    isLocal: false,
    label,
    lost: transport.lost,
    start,
  }
}

/** `gone` rejects at every end of the transport, `lost` only at those nobody asked for. */
function watch({chain, closeMs, streams}: Transport, label: string) {
  let closing = false
  const ended = chain.map((client) => new Promise<void>((resolve) => client.once('close', resolve)))
  const failed = chain.map(
    (client) => new Promise<TransportError>((resolve) => client.on('error', resolve)),
  )
  const gone = Promise.race([...failed, ...ended]).then((cause): never => {
    throw connectionLost(label, cause ?? undefined)
  })
  const lost = new Promise<never>((_resolve, reject) => {
    gone.catch((error: unknown) => closing || reject(error))
  })
  gone.catch(() => {})
  lost.catch(() => {})
  const close = async () => {
    closing = true
    for (const client of chain.toReversed()) client.end()
    const timer = setTimeout(() => streams.forEach((stream) => stream.destroy()), closeMs)
    await Promise.all(ended)
    clearTimeout(timer)
  }
  return {close, gone, lost}
}

function startProgram(
  client: SshClient,
  argv: readonly string[],
  label: string,
  gone: Promise<never>,
): Promise<RemoteProcess> {
  return new Promise((resolve, reject) => {
    const failed = (error: TransportError) => reject(channelFailure(label, error))
    const command = shellCommand(argv)
    attempted(failed, () =>
      client.exec(command, (error, channel) =>
        error ? failed(error) : resolve(channelProcess(channel, label, gone)),
      ),
    )
  })
}
