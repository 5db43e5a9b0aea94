import {DumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'
import {formatSshAddress, parsePort, parseSshAddress, type SshAddress} from './ssh-address.js'
import {
  expandTokens,
  readHostOptions,
  type HostOptions,
  type ParsedSshConfig,
} from './ssh-options.js'

/** Everything needed to reach and recognise one host; `jumps` come first, in order. */
export interface SshTarget {
  readonly kind: 'ssh'
  /** `user@host:port`, for messages. */
  readonly label: string
  readonly host: string
  readonly port: number
  readonly user: string
  /** Name the host's key is filed under. */
  readonly keyName: string
  readonly identities: Identities
  readonly knownHosts: KnownHostsFiles
  readonly jumps: readonly SshTarget[]
}

export interface Identities {
  readonly files: readonly string[]
  /** False: the usual files in ~/.ssh, which need not exist. */
  readonly explicit: boolean
  /** Only keys of `files` are offered, even if the agent holds others. */
  readonly only: boolean
  readonly agentSocket: string | undefined
}

export interface KnownHostsFiles {
  /** The first is where accepted keys are added. */
  readonly user: readonly string[]
  readonly system: readonly string[]
  /** Whether a key nobody has seen is taken whatever the policy says: the files are one instance's own. */
  readonly acceptNew?: boolean
}

export type Target = {readonly kind: 'local'} | SshTarget

export interface TargetContext {
  /** Parsed ~/.ssh/config; an empty one when there is none. */
  readonly config: ParsedSshConfig
  /** Absolute. */
  readonly home: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Told once for each setting of the file that is not followed. */
  readonly notice: (text: string) => void
  /** Absolute paths of keys the operator named for this box; jump hosts have theirs in the file. */
  readonly given?: readonly string[]
}

const MAX_JUMPS = 8
const DEFAULT_KEYS = ['id_ed25519', 'id_ecdsa', 'id_rsa']
const SYSTEM_KNOWN_HOSTS = ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2']

/** Turns what the operator typed into a target, by the rules of ssh_config(5). Touches nothing outside its arguments. */
export function resolveTarget(text: string, context: TargetContext): Target {
  if (text === 'local') return {kind: 'local'}
  const target = resolveHost(parseSshAddress(text), context, [])
  const {given = []} = context
  return given.length === 0 ? target : {...target, identities: withGiven(target.identities, given)}
}

/** As `ssh -i` has it: named keys come first, and the usual ones are not tried beside them. */
function withGiven(identities: Identities, given: readonly string[]): Identities {
  const configured = identities.explicit ? identities.files : []
  return {...identities, explicit: true, files: [...given, ...configured]}
}

function resolveHost(
  address: SshAddress,
  context: TargetContext,
  path: readonly string[],
): SshTarget {
  if (path.includes(address.host) || path.length > MAX_JUMPS) {
    throw new DumontError(
      'CONFIG',
      `ProxyJump in ~/.ssh/config leads in a circle at ${address.host}`,
    )
  }
  const options = readHostOptions(context.config, address)
  for (const text of options.notices) context.notice(text)
  const jumps = resolveJumps(options, context, [...path, address.host])
  return {...describeHost(address, options, context), jumps}
}

function describeHost(address: SshAddress, options: HostOptions, {home, env}: TargetContext) {
  const host = expandTokens(options.hostName ?? address.host, {'%h': address.host})
  const port = address.port ?? configuredPort(options) ?? 22
  const user = address.user ?? options.user ?? env['USER'] ?? env['LOGNAME'] ?? 'root'
  const path = (text: string) =>
    expandTokens(
      text,
      {'%d': home, '%h': host, '%p': String(port), '%r': user, '%u': env['USER'] ?? ''},
      {env, home},
    )
  const explicit = options.identityFiles.length > 0
  const files = explicit ? options.identityFiles : DEFAULT_KEYS.map((name) => `~/.ssh/${name}`)
  return {
    host,
    identities: {
      agentSocket: agentSocket(options, env, path),
      explicit,
      files: files.map(path),
      only: options.identitiesOnly,
    },
    keyName: options.hostKeyAlias ?? fileName(host, port),
    kind: 'ssh' as const,
    knownHosts: {
      system: SYSTEM_KNOWN_HOSTS,
      user: (options.userKnownHostsFiles ?? ['~/.ssh/known_hosts', '~/.ssh/known_hosts2']).map(
        path,
      ),
    },
    label: formatSshAddress({host, port, user}),
    port,
    user,
  }
}

/** As OpenSSH writes it: the bare name on port 22, `[name]:port` elsewhere. */
function fileName(host: string, port: number): string {
  return port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`
}

function configuredPort({port}: HostOptions): number | undefined {
  if (port === undefined) return undefined
  const number = parsePort(port)
  if (number === undefined)
    throw new DumontError(
      'CONFIG',
      `~/.ssh/config: Port ${untrusted(port, 80)} is not a port number`,
    )
  return number
}

function agentSocket(
  {identityAgent}: HostOptions,
  env: TargetContext['env'],
  path: (text: string) => string,
): string | undefined {
  if (identityAgent === 'none') return undefined
  if (identityAgent === undefined || identityAgent === 'SSH_AUTH_SOCK')
    return env['SSH_AUTH_SOCK'] || undefined
  return path(identityAgent) || undefined
}

/** A hop's own ProxyJump counts for the first hop only: the later ones are reached through the list itself. */
function resolveJumps(
  {proxyJump}: HostOptions,
  context: TargetContext,
  path: readonly string[],
): SshTarget[] {
  if (proxyJump === undefined || proxyJump.toLowerCase() === 'none') return []
  const hops = proxyJump
    .split(',')
    .map((hop) => resolveHost(parseSshAddress(hop.trim()), context, path))
  const chain = [...(hops[0]?.jumps ?? []), ...hops].map((hop) => ({...hop, jumps: []}))
  if (chain.length > MAX_JUMPS)
    throw new DumontError('CONFIG', `ProxyJump names more than ${MAX_JUMPS} hosts`)
  return chain
}
