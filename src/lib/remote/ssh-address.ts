import {DumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'

/** What the operator typed, before ~/.ssh/config has its say. */
export interface SshAddress {
  readonly user?: string
  /** Name or address, IPv6 without brackets. */
  readonly host: string
  readonly port?: number
}

const EXPECTED =
  'write user@host, user@host:port, user@[v6-address]:port, ssh://user@host:port or local'

/** Reads `root@1.2.3.4:22`, `gpu1`, `[2001:db8::1]:2222` or `ssh://…`. Anything else is a USAGE error. */
export function parseSshAddress(text: string): SshAddress {
  const rest = withoutScheme(text)
  const at = rest.lastIndexOf('@')
  const user = at < 0 ? undefined : rest.slice(0, at)
  const {host, port} = splitPort(rest.slice(at + 1), text)
  // A leading dash would be read as an option by every program that is handed the name.
  if (!/^[A-Za-z0-9_.:%*?][A-Za-z0-9_.:%*?-]*$/.test(host)) throw malformed(text)
  if (user !== undefined && !/^[^\s\p{Cc}@:-][^\s\p{Cc}:]*$/u.test(user)) throw malformed(text)
  return {host, ...(user === undefined ? {} : {user}), ...(port === undefined ? {} : {port})}
}

/** `user@host:port`, an IPv6 address in brackets. */
export function formatSshAddress({user, host, port}: Required<SshAddress>): string {
  return `${user}@${host.includes(':') ? `[${host}]` : host}:${port}`
}

export function parsePort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  return port >= 1 && port <= 65_535 ? port : undefined
}

function withoutScheme(text: string): string {
  if (!text.startsWith('ssh://')) return text
  const rest = text.slice('ssh://'.length).replace(/\/$/, '')
  if (rest.includes('/')) throw malformed(text)
  return rest
}

function splitPort(text: string, whole: string): {host: string; port?: number} {
  const bracketed = /^\[([^\]]+)\](?::(.*))?$/.exec(text)
  const plain = /^([^:]*)(?::([^:]*))?$/.exec(text)
  const match = bracketed ?? plain
  // More than one colon and no brackets: an IPv6 address by itself.
  if (match === null) return {host: text}
  const host = match[1] ?? ''
  if (match[2] === undefined) return {host}
  const port = parsePort(match[2])
  if (port === undefined) throw malformed(whole)
  return {host, port}
}

function malformed(text: string): DumontError {
  return new DumontError('USAGE', `"${untrusted(text, 200)}" is not an SSH address`, {
    hint: EXPECTED,
  })
}
