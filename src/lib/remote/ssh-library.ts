import type {EventEmitter} from 'node:events'
import type {Duplex} from 'node:stream'

import type {ExecChannel} from './ssh-channel.js'
import type {ReadKey} from './ssh-keys.js'

/** What dumont uses of ssh2, so that one file alone needs to know it. */
export interface SshLibrary {
  readonly Client: new () => SshClient
  readonly createAgent: (socket: string) => SshAgent
  readonly utils: {readonly parseKey: (text: Buffer, passphrase?: string) => Error | ReadKey}
}

type Answer<T> = (error: Error | undefined, value: T) => void

/** Emits `ready`, `error`, `close` and `tcp connection`; methods throw when the socket is closed. */
export interface SshClient extends EventEmitter {
  connect(config: ConnectOptions): unknown
  end(): unknown
  exec(command: string, answer: Answer<ExecChannel>): unknown
  forwardIn(address: string, port: number, answer: Answer<number>): unknown
  forwardOut(
    fromAddress: string,
    fromPort: number,
    address: string,
    port: number,
    answer: Answer<Duplex>,
  ): unknown
  unforwardIn(address: string, port: number, answer: (error?: Error) => void): unknown
}

export interface SshAgent {
  getIdentities(answer: (error?: Error | null, keys?: readonly ReadKey[]) => void): void
}

export interface ConnectOptions {
  readonly algorithms: {
    readonly cipher: readonly string[]
    readonly serverHostKey: readonly string[]
  }
  /** Asked for the next key to offer; `methods` is null the first time, `false` ends the login. */
  readonly authHandler: (
    methods: readonly string[] | null,
    partial: boolean | null,
    next: (offer: unknown) => void,
  ) => void
  readonly host: string
  /** Must not throw. */
  readonly hostVerifier: (key: Buffer) => boolean
  readonly keepaliveCountMax: number
  readonly keepaliveInterval: number
  readonly port: number
  readonly readyTimeout: number
  readonly sock: Duplex
  readonly username: string
}
