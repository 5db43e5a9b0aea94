import type {Duplex} from 'node:stream'

import {DumontError} from '../errors.js'
import {abortable} from './abortable.js'
import {decideHostKey, type Refusal} from './host-key-policy.js'
import {readKnownHosts} from './known-hosts-file.js'
import {checkHostKey, knownKeyTypes} from './known-hosts.js'
import {readyDeadline} from './ready-deadline.js'
import {DEFAULT_TIMINGS, type ConnectContext, type SshTimings} from './ssh-dependencies.js'
import {
  authenticationFailure,
  connectFailure,
  connectTimeout,
  isAuthenticationFailure,
  type TransportError,
} from './ssh-failure.js'
import type {ConnectOptions, SshClient} from './ssh-library.js'
import {keyLogin} from './ssh-login.js'
import type {SshTarget} from './ssh-target.js'

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
  const deadline = readyDeadline(clock, timings.readyMs, () =>
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
    deadline.stop()
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
