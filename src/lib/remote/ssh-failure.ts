import {DumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'

/** An error as ssh2 or the socket below it reports it. */
export interface TransportError extends Error {
  readonly level?: string
  readonly code?: number | string
}

/** Says what kept a connection from being made. `label` is `user@host:port`. */
export function connectFailure(label: string, cause: TransportError | undefined): DumontError {
  if (cause === undefined)
    return unreachable(`${label} closed the connection before the session was open`, cause)
  const known = SOCKET_FAILURES[String(cause.code)]
  if (known !== undefined) return unreachable(`${label} ${known.what}`, cause, known.hint)
  if (/no matching/i.test(cause.message))
    return unreachable(`${label}: ${shown(cause)}`, cause, NO_COMMON_ALGORITHM)
  if (/before handshake|identification|packet length|protocol version/i.test(cause.message)) {
    return unreachable(
      `${label} does not speak SSH: ${shown(cause)}`,
      cause,
      'check the port: rented boxes map SSH to another one',
    )
  }
  return unreachable(
    `${label} cannot be reached: ${shown(cause)}`,
    cause,
    'look whether the box is running',
  )
}

export function connectTimeout(label: string, seconds: number): DumontError {
  return unreachable(`${label} did not answer within ${seconds} s`, undefined, CHECK_ADDRESS)
}

/** A session that was open is no more. */
export function connectionLost(label: string, cause: TransportError | undefined): DumontError {
  const reason =
    cause?.level === 'client-timeout'
      ? 'it no longer answers'
      : cause === undefined
        ? 'it was closed'
        : shown(cause)
  return unreachable(
    `the connection to ${label} was lost: ${reason}`,
    cause,
    'run the command again: finished work is kept',
  )
}

export function isAuthenticationFailure(cause: TransportError | undefined): boolean {
  return (
    cause?.level === 'client-authentication' ||
    /authentication failures/i.test(cause?.message ?? '')
  )
}

/** Names what was offered, because "permission denied" alone helps nobody. */
export function authenticationFailure(
  label: string,
  offered: readonly string[],
  cause?: TransportError,
): DumontError {
  const what =
    offered.length === 0
      ? 'no key could be offered'
      : `none of the keys offered was accepted: ${offered.join(', ')}`
  return new DumontError('AUTHENTICATION', `${label} refused the login: ${what}`, {
    cause,
    hint:
      "add one of your public keys to the box (the provider's console has a page for SSH keys), or name the right one by " +
      'IdentityFile in ~/.ssh/config; OpenSSH certificates, FIDO (sk-) keys and passwords are not supported',
  })
}

export function jumpFailure(jump: string, label: string, cause: TransportError): DumontError {
  return unreachable(
    `${jump} cannot connect on to ${label}: ${shown(cause)}`,
    cause,
    `check that ${jump} allows TCP forwarding and reaches the address`,
  )
}

export function channelFailure(label: string, cause: TransportError): DumontError {
  return unreachable(
    `${label} opened no channel: ${shown(cause)}`,
    cause,
    "the box's sshd may have reached MaxSessions; end other sessions and run the command again",
  )
}

export function forwardFailure(label: string, cause: TransportError): DumontError {
  return new DumontError(
    'BOX_UNSUITABLE',
    `${label} refuses to forward a port to this machine: ${shown(cause)}`,
    {
      cause,
      hint: "set AllowTcpForwarding yes in the box's sshd_config, or use an S3 store, which needs no tunnel",
    },
  )
}

const CHECK_ADDRESS =
  'check address and port, and that the box is running and no firewall is in between'
const NO_COMMON_ALGORITHM =
  'the server and dumont share no algorithm; enable curve25519-sha256, ssh-ed25519 and aes128-gcm@openssh.com on the box'

const SOCKET_FAILURES: Readonly<Record<string, {what: string; hint: string}>> = {
  EAI_AGAIN: {
    hint: 'check the spelling and the network of this machine',
    what: 'cannot be reached: its name cannot be looked up',
  },
  ECONNREFUSED: {
    hint: 'check the port (rented boxes map SSH to another one) and that the box has finished starting',
    what: 'refused the connection',
  },
  ECONNRESET: {
    hint: 'the box may be starting, or refuses more connections; try again',
    what: 'reset the connection',
  },
  EHOSTUNREACH: {hint: CHECK_ADDRESS, what: 'cannot be reached: no route to the host'},
  ENETUNREACH: {
    hint: 'check the network of this machine',
    what: 'cannot be reached: the network is unreachable',
  },
  ENOTFOUND: {
    hint: 'check the spelling, or use the address',
    what: 'cannot be reached: there is no such host name',
  },
  ETIMEDOUT: {hint: CHECK_ADDRESS, what: 'did not answer'},
}

function unreachable(message: string, cause: unknown, hint?: string): DumontError {
  return new DumontError('UNREACHABLE', message, {
    cause,
    retry: 'later',
    ...(hint === undefined ? {} : {hint}),
  })
}

/** The peer has a say in these texts. */
function shown(cause: Error): string {
  return untrusted(cause.message, 300)
}
