import {spawn, type ChildProcessWithoutNullStreams} from 'node:child_process'
import {createServer, type AddressInfo, type Socket} from 'node:net'
import type {Duplex} from 'node:stream'

import {DumontError} from '../errors.js'
import {runToEnd} from './run-to-end.js'
import type {ExecOptions, Forward, RemoteProcess, Session} from './session.js'

export type Environment = Readonly<Record<string, string | undefined>>

const LABEL = 'local'

/** This machine through the same interface: programs are children in process groups of their own. */
export function openLocalSession(env: Environment): Session {
  const running = new Set<RemoteProcess>()
  const forwards = new Set<Forward>()
  const start = async (argv: readonly string[], signal?: AbortSignal) => {
    const child = await startChild(argv, childEnvironment(env), signal)
    running.add(child)
    child.exited.catch(() => {}).finally(() => running.delete(child))
    return child
  }
  return {
    isLocal: true,
    label: LABEL,
    lost: new Promise<never>(() => {}),
    start,
    async exec(argv, options: ExecOptions = {}) {
      const child = await start(argv, options.signal)
      return runToEnd(child, {label: LABEL, name: argv[0] ?? ''}, options)
    },
    async forward(onConnection, signal) {
      const opened = await listen(onConnection, signal)
      forwards.add(opened)
      return opened
    },
    async close() {
      for (const child of running) child.kill()
      await Promise.all([...forwards].map((forward) => forward.close()))
    },
  }
}

/**
 * What a child may see of our environment. A whitelist: the operator's own environment may hold store and provider
 * credentials, which must not reach the worker even on this machine.
 */
export function childEnvironment(env: Environment): Record<string, string> {
  const kept =
    /^(?:PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_[A-Z]+|TZ|TMPDIR|XDG_CACHE_HOME|VIRTUAL_ENV|CONDA_PREFIX|SSL_CERT_(?:FILE|DIR)|CONTAINER_ID|RUNPOD_POD_ID|CUDA_VISIBLE_DEVICES|LD_LIBRARY_PATH)$/
  return Object.fromEntries(
    Object.entries(env).filter(
      (pair): pair is [string, string] => kept.test(pair[0]) && pair[1] !== undefined,
    ),
  )
}

async function startChild(
  argv: readonly string[],
  env: Record<string, string>,
  signal?: AbortSignal,
): Promise<RemoteProcess> {
  signal?.throwIfAborted()
  if (argv.length === 0) throw new DumontError('USAGE', 'an empty command cannot be run')
  // Through sh, so that a missing program ends with 127 exactly as it does over SSH.
  const child = spawn('/bin/sh', ['-c', 'exec "$@"', 'sh', ...argv], {
    detached: true,
    env,
    stdio: 'pipe',
  })
  await started(child)
  const {exited, kill} = ending(child, argv[0] ?? '')
  return {exited, kill, stderr: child.stderr, stdin: child.stdin, stdout: child.stdout}
}

function started(child: ChildProcessWithoutNullStreams): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (cause) => {
      reject(
        new DumontError('WORKER', `this machine cannot start programs: ${cause.message}`, {cause}),
      )
    })
  })
}

function ending(child: ChildProcessWithoutNullStreams, program: string) {
  let over = false
  const kill = () => {
    if (!over) killGroup(child)
  }
  const exited = new Promise<number>((resolve, reject) => {
    // A leader that was killed cannot tell its children to stop.
    child.once('exit', (code) => code === null && kill())
    child.once('close', (code, signal) => {
      over = true
      if (code === null) reject(ended(program, signal))
      else resolve(code)
    })
  })
  exited.catch(() => {})
  return {exited, kill}
}

function ended(program: string, signal: NodeJS.Signals | null): DumontError {
  return new DumontError('UNREACHABLE', `${program} on this machine was ended by ${signal}`, {
    retry: 'later',
  })
}

/** The whole group: a worker's engines must not outlive it. */
function killGroup(child: ChildProcessWithoutNullStreams): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function listen(onConnection: (socket: Duplex) => void, signal?: AbortSignal): Promise<Forward> {
  signal?.throwIfAborted()
  const open = new Set<Socket>()
  const server = createServer({noDelay: true}, (socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    onConnection(socket)
  })
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      for (const socket of open) socket.destroy()
    })
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new DumontError(
          'UNREACHABLE',
          `cannot listen on this machine's loopback: ${cause.message}`,
          {cause},
        ),
      )
    })
    server.listen(0, '127.0.0.1', () =>
      resolve({close, port: (server.address() as AddressInfo).port}),
    )
  })
}
