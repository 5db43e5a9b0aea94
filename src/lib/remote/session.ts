import type {Duplex} from 'node:stream'

/** How one remote program ended. Anything else than a reported exit is not an outcome but an error. */
export interface ExecResult {
  readonly code: number
  readonly stdout: Uint8Array
  readonly stderr: string
}

/**
 * A running remote program whose stdin and stdout are ours to talk through. The caller reads both stdout and stderr
 * (or resumes them): the end is reported only after both have been delivered. A write to stdin after the transport is
 * lost may never call back; race it with `exited`.
 */
export interface RemoteProcess {
  /** Write side is the program's stdin; ending it tells the worker to stop. */
  readonly stdin: NodeJS.WritableStream
  readonly stdout: NodeJS.ReadableStream
  readonly stderr: NodeJS.ReadableStream
  /** Resolves with the exit status; rejects (UNREACHABLE) when the channel closed without one or by signal. */
  readonly exited: Promise<number>
  /** Ends the program as firmly as the transport allows. Idempotent. */
  kill(): void
}

/** A port on the box's loopback whose connections arrive here. */
export interface Forward {
  /** Port on the box's 127.0.0.1. */
  readonly port: number
  close(): Promise<void>
}

/**
 * One box reached over SSH, or this machine. Implementations: SshSession, LocalSession.
 * Every call rejects with a DumontError (UNREACHABLE, AUTHENTICATION, HOST_KEY_*) that names the host.
 */
export interface Session {
  /** `user@host:port` or `local`, for messages. */
  readonly label: string
  readonly isLocal: boolean
  /** Runs to the end with bounded output (1 MiB each); argv is quoted by the session, never by callers. */
  exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult>
  /** Starts a program; the signal ends the starting, afterwards `kill` ends the program. A missing program exits with 127. */
  start(argv: readonly string[], signal?: AbortSignal): Promise<RemoteProcess>
  /** Makes connections to a fresh loopback port of the box arrive at `onConnection`. */
  forward(onConnection: (socket: Duplex) => void, signal?: AbortSignal): Promise<Forward>
  /** Rejects when the transport is lost; never resolves otherwise. For racing long waits. */
  readonly lost: Promise<never>
  close(): Promise<void>
}

export interface ExecOptions {
  readonly stdin?: Uint8Array
  /** Default 60 000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}
