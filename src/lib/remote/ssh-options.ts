import {parse, type Line, type SSHConfig} from 'ssh-config'

import {DumontError, isDumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'
import type {SshAddress} from './ssh-address.js'

export type ParsedSshConfig = SSHConfig

/** The settings of ssh_config(5) that dumont follows, as written. */
export interface HostOptions {
  readonly hostName: string | undefined
  readonly port: string | undefined
  readonly user: string | undefined
  readonly hostKeyAlias: string | undefined
  readonly identityAgent: string | undefined
  readonly identityFiles: readonly string[]
  readonly identitiesOnly: boolean
  readonly proxyJump: string | undefined
  readonly userKnownHostsFiles: readonly string[] | undefined
  /** One sentence for each setting that is seen and not followed. */
  readonly notices: readonly string[]
}

/** Parses the text of a configuration whose Include lines are expanded already. Errors: CONFIG. */
export function parseSshConfig(text: string): ParsedSshConfig {
  try {
    return normalise(parse(text.replaceAll(/^\s*(?:host|match)\b.*$/gim, tamed)))
  } catch (cause) {
    if (isDumontError(cause)) throw cause
    const reason = (cause as Error).message
    throw new DumontError('CONFIG', `~/.ssh/config cannot be read: ${untrusted(reason, 300)}`, {
      cause,
      hint: 'ssh -G HOST shows how OpenSSH reads it',
    })
  }
}

const MOST_STARS = 8

/** The library takes for ever over many stars in one pattern; several in a row mean one. */
function tamed(line: string): string {
  const plain = line.replaceAll(/\*+/g, '*')
  if (plain.split(/[\s,]+/).some((word) => word.split('*').length - 1 > MOST_STARS))
    throw new DumontError('CONFIG', `~/.ssh/config: a pattern with more than ${MOST_STARS} stars`)
  return plain
}

/** What the configuration says about one host. Starts no program: `Match exec` and canonical names are left out. */
export function readHostOptions(config: ParsedSshConfig, {host, user}: SshAddress): HostOptions {
  const found = config.compute(user === undefined ? {Host: host} : {Host: host, User: user}, {
    ignoreCase: true,
    matchExec: false,
  })
  const all = (name: string) => [found[name] ?? []].flat()
  const one = (name: string) => all(name)[0]
  return {
    hostKeyAlias: one('hostkeyalias')?.toLowerCase(),
    hostName: one('hostname'),
    identitiesOnly: one('identitiesonly')?.toLowerCase() === 'yes',
    identityAgent: one('identityagent'),
    identityFiles: all('identityfile').filter((file) => file.toLowerCase() !== 'none'),
    notices: notFollowed(host, one, config),
    port: one('port'),
    proxyJump: one('proxyjump'),
    user: one('user'),
    userKnownHostsFiles:
      found['userknownhostsfile'] === undefined
        ? undefined
        : all('userknownhostsfile').filter((file) => file.toLowerCase() !== 'none'),
  }
}

/** Replaces `%`-tokens, and for paths a leading `~/` and `${NAME}`. Unknown tokens are a CONFIG error. */
export function expandTokens(
  text: string,
  tokens: Readonly<Record<string, string>>,
  path?: {readonly home: string; readonly env: Readonly<Record<string, string | undefined>>},
): string {
  const expanded = text.replaceAll(/%./g, (token) => {
    const value = token === '%%' ? '%' : tokens[token]
    if (value === undefined)
      throw new DumontError(
        'CONFIG',
        `~/.ssh/config: ${untrusted(`${token} in "${text}"`, 200)} is not supported`,
      )
    return value
  })
  if (path === undefined) return expanded
  return expanded
    .replace(/^\$([A-Za-z_]\w*)$/, (_all, name: string) => path.env[name] ?? '')
    .replaceAll(/\$\{(\w+)\}/g, (_all, name: string) => path.env[name] ?? '')
    .replace(/^~(?=\/|$)/, () => path.home)
}

function notFollowed(
  host: string,
  one: (name: string) => string | undefined,
  config: ParsedSshConfig,
): string[] {
  const notices: string[] = []
  const ignored = (setting: string, because: string) =>
    notices.push(`~/.ssh/config: ${setting} for ${host} is not followed: ${because}`)
  for (const [name, shown] of COMMANDS) {
    const value = one(name)
    if (value !== undefined && value.toLowerCase() !== 'none')
      ignored(shown, 'dumont starts no programs named there')
  }
  const checking = one('stricthostkeychecking')?.toLowerCase()
  if (checking !== undefined && ['no', 'off', 'accept-new'].includes(checking)) {
    ignored(
      `StrictHostKeyChecking ${checking}`,
      'host keys are always checked; see --accept-new-host-key',
    )
  }
  if (one('certificatefile') !== undefined)
    ignored('CertificateFile', 'OpenSSH certificates are not supported')
  if (config.some(matchesByProgram)) ignored('Match exec', 'dumont starts no programs named there')
  return notices
}

const COMMANDS = [
  ['proxycommand', 'ProxyCommand'],
  ['localcommand', 'LocalCommand'],
  ['knownhostscommand', 'KnownHostsCommand'],
] as const

function matchesByProgram(line: Line): boolean {
  return (
    'criteria' in line && Object.keys(line.criteria).some((name) => name.toLowerCase() === 'exec')
  )
}

/** The library asks DNS for CanonicalizeHostname, and matches `HostName` and `User` only in this spelling. */
function normalise(config: SSHConfig): SSHConfig {
  for (let at = config.length - 1; at >= 0; at -= 1) {
    const line = config[at]
    if (line === undefined || !('param' in line)) continue
    if (/^canonical/i.test(line.param)) config.splice(at, 1)
    else if (/^hostname$/i.test(line.param)) line.param = 'HostName'
    else if (/^user$/i.test(line.param)) line.param = 'User'
    if ('config' in line) normalise(line.config)
  }
  return config
}
