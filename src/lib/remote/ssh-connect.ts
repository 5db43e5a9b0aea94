import type {Duplex} from 'node:stream'

import type {Clock} from '../clock.js'
import {DumontError} from '../errors.js'
import {abortable} from './abortable.js'
import {decideHostKey, type HostKeyPolicy, type Refusal} from './host-key-policy.js'
import {readKnownHosts} from './known-hosts-file.js'
import {checkHostKey, knownKeyTypes} from './known-hosts.js'
import {
  authenticationFailure,
  connectFailure,
  connectTimeout,
  isAuthenticationFailure,
  type TransportError,
} from './ssh-failure.js'
import {offerKeys, type KeyTools, type ReadKey} from './ssh-keys.js'
import type {ConnectOptions, SshAgent, SshClient, SshLibrary} from './ssh-library.js'
import type {SshTarget} from './ssh-target.js'

export interface SshDependencies {
  readonly hostKeyPolicy: HostKeyPolicy
  /** Asks the passphrase of a key file; undefined leaves the key out. Absent where nobody can answer. */
  readonly askPassphrase?: (file: string) => Promise<string | undefined>
  /** Passphrases given so far in this run, so that further connections need not ask again. */
  readonly passphrases?: Map<string, string>
  readonly clock: Clock
  readonly notice: (text: string) => void
  readonly timings?: SshTimings
}

export interface SshTimings {
  /** From dialling to an authenticated session, without the time a person needs to answer. */
  readonly readyMs: number
  /** A peer that answers none of `keepaliveCount` probes in a row is lost. */
  readonly keepaliveMs: number
  readonly keepaliveCount: number
}

export const DEFAULT_TIMINGS: SshTimings = {keepaliveCount: 3, keepaliveMs: 10_000, readyMs: 20_000}

type ConnectContext = SshDependencies & {readonly library: SshLibrary}

const AGENT_MS = 5000

/**
 * Connects to one host, verified under its own name and authenticated. `dial` gives the stream to use; it may be called
 * twice, because an unknown key is asked about between two connections: the server would not wait for the answer.
 */
export async function connectHost(
  target: SshTarget,
  dial: Dial,
  context: ConnectContext,
  signal?: AbortSignal,
): Promise<SshClient> {
  const entries = await readKnownHosts([...target.knownHosts.user, ...target.knownHosts.system])
  const seen: {refusal?: Refusal} = {}
  const keyTypes = knownKeyTypes(entries, target.keyName)
  const verify = (key: Buffer) => {
    const verdict = checkHostKey(entries, target.keyName, key)
    if (verdict.kind !== 'known') seen.refusal = {key: Buffer.from(key), verdict}
    return verdict.kind === 'known'
  }
  try {
    return await attempt({dial, keyTypes, target, verify}, context, signal)
  } catch (error) {
    if (seen.refusal === undefined) throw error
  }
  const {refusal} = seen
  await decideHostKey(target, refusal, context.hostKeyPolicy, context.notice)
  return attempt({dial, keyTypes, target, verify: sameKey(target, refusal.key)}, context, signal)
}

function sameKey(target: SshTarget, accepted: Buffer): (key: Buffer) => boolean {
  return (key) => {
    if (key.equals(accepted)) return true
    throw new DumontError(
      'HOST_KEY_CHANGED',
      `${target.label} presented two different keys within one minute`,
      {
        hint: 'something between here and the box answers in its place; do not accept either key',
      },
    )
  }
}

export type Dial = (signal: AbortSignal) => Promise<Duplex>

interface Attempt {
  readonly target: SshTarget
  readonly dial: Dial
  readonly keyTypes: readonly string[]
  readonly verify: (key: Buffer) => boolean
}

async function attempt(
  {target, dial, keyTypes, verify}: Attempt,
  context: ConnectContext,
  signal?: AbortSignal,
): Promise<SshClient> {
  const {clock, library, timings = DEFAULT_TIMINGS} = context
  const client = new library.Client()
  // Whatever fails first is the reason; later events of the same end add nothing.
  const failure = new AbortController()
  const fail = (error: unknown) => failure.abort(error)
  const deadline = pausable(clock, timings.readyMs, () =>
    fail(connectTimeout(target.label, timings.readyMs / 1000)),
  )
  const login = keyLogin(target, context, {deadline, fail})
  reportFailures(
    client,
    {label: target.label, notice: context.notice, offered: login.offered},
    fail,
  )
  const ready = new Promise<SshClient>((resolve) => client.once('ready', () => resolve(client)))
  const stop = signal === undefined ? failure.signal : AbortSignal.any([failure.signal, signal])
  let sock: Duplex | undefined
  deadline.resume()
  try {
    sock = await dial(stop)
    client.connect({
      ...connectOptions(target, keyTypes, timings),
      authHandler: login.handler,
      hostVerifier: guarded(verify, fail),
      sock,
    })
    return await abortable(ready, stop)
  } catch (error) {
    sock?.destroy()
    throw error
  } finally {
    deadline.pause()
  }
}

interface Named {
  readonly label: string
  readonly offered: readonly string[]
  readonly notice: (text: string) => void
}

function reportFailures(
  client: SshClient,
  {label, notice, offered}: Named,
  fail: (error: unknown) => void,
): void {
  client.on('error', (error: TransportError) => {
    if (error.level === 'agent') notice(`the SSH agent failed: ${error.message}`)
    else if (isAuthenticationFailure(error)) fail(authenticationFailure(label, offered, error))
    else fail(connectFailure(label, error))
  })
  client.once('close', () => fail(connectFailure(label, undefined)))
}

/** A verifier that throws inside ssh2 would take the process down. */
function guarded(
  verify: (key: Buffer) => boolean,
  fail: (error: unknown) => void,
): (key: Buffer) => boolean {
  return (key) => {
    try {
      return verify(key)
    } catch (error) {
      fail(error)
      return false
    }
  }
}

function connectOptions(
  {host, port, user}: SshTarget,
  keyTypes: readonly string[],
  {keepaliveCount, keepaliveMs}: SshTimings,
): Omit<ConnectOptions, 'authHandler' | 'hostVerifier' | 'sock'> {
  const known = keyTypes.flatMap((type) => (type === 'ssh-rsa' ? RSA_SIGNATURES : [type]))
  const serverHostKey = [...new Set([...known, ...HOST_KEY_ALGORITHMS])].filter((name) =>
    HOST_KEY_ALGORITHMS.includes(name),
  )
  return {
    algorithms: {cipher: CIPHERS, serverHostKey},
    host,
    keepaliveCountMax: keepaliveCount,
    keepaliveInterval: keepaliveMs,
    port,
    readyTimeout: 0,
    username: user,
  }
}

const RSA_SIGNATURES = ['rsa-sha2-512', 'rsa-sha2-256']
const HOST_KEY_ALGORITHMS = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  ...RSA_SIGNATURES,
]
// GCM runs at memory speed in Node's own crypto; the others are for servers that lack it.
const CIPHERS = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
]

interface LoginControl {
  readonly deadline: Pausable
  readonly fail: (error: unknown) => void
}

function keyLogin(
  {identities, user}: SshTarget,
  {library, clock, askPassphrase, passphrases = new Map<string, string>(), notice}: ConnectContext,
  {deadline, fail}: LoginControl,
): {offered: string[]; handler: ConnectOptions['authHandler']} {
  const offered: string[] = []
  const questions = {notice, passphrases, ...(askPassphrase === undefined ? {} : {askPassphrase})}
  const keys = offerKeys(identities, keyTools(library, clock), questions)
  const nextOffer = async (answer: (offer: unknown) => void) => {
    deadline.pause()
    const {done, value} = await keys.next()
    deadline.resume()
    if (!done) offered.push(value.label)
    answer(done ? false : {...value, username: user})
  }
  const handler: ConnectOptions['authHandler'] = (methods, _partial, answer) => {
    if (methods !== null && !methods.includes('publickey')) answer(false)
    else nextOffer(answer).catch(fail)
  }
  return {handler, offered}
}

function keyTools({createAgent, utils}: SshLibrary, clock: Clock): KeyTools {
  return {
    agentKeys: (socket) => agentKeys(createAgent(socket), clock),
    agentWith: (socket, key) =>
      Object.assign(createAgent(socket), {
        getIdentities: (answer: (error: null, keys: ReadKey[]) => void) => answer(null, [key]),
      }),
    parseKey: (text, passphrase) => utils.parseKey(text, passphrase),
  }
}

async function agentKeys(agent: SshAgent, clock: Clock): Promise<readonly ReadKey[]> {
  const waiting = new AbortController()
  const late = clock.sleep(AGENT_MS, waiting.signal).then(() => {
    throw new Error(`no answer within ${AGENT_MS / 1000} s`)
  })
  late.catch(() => {})
  const answer = new Promise<readonly ReadKey[]>((resolve, reject) => {
    agent.getIdentities((error, keys) => (error ? reject(error) : resolve(keys ?? [])))
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    waiting.abort()
  }
}

interface Pausable {
  pause(): void
  /** Starts the full time anew. */
  resume(): void
}

function pausable(clock: Clock, milliseconds: number, expired: () => void): Pausable {
  let running = new AbortController()
  return {
    pause: () => running.abort(),
    resume() {
      running = new AbortController()
      clock.sleep(milliseconds, running.signal).then(expired, () => {})
    },
  }
}
