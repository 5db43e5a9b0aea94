import {createHash, createHmac} from 'node:crypto'

/** One line of a known_hosts file. */
export interface KnownHost {
  readonly marker: 'cert-authority' | 'revoked' | undefined
  /** First field: comma-separated patterns, or `|1|salt|hash`. */
  readonly hosts: string
  readonly keyType: string
  readonly key: Buffer
  readonly file: string
  readonly line: number
}

/** What the files say about a key that a host presented. */
export type Verdict =
  | {readonly kind: 'changed'; readonly entry: KnownHost}
  | {readonly kind: 'known'}
  | {readonly kind: 'revoked'; readonly entry: KnownHost}
  | {
      readonly kind: 'unknown'
      /** Only a certificate authority vouches for it. */ readonly authority: boolean
    }

/** Reads one file's text as sshd(8) describes it; lines it would skip are skipped. */
export function parseKnownHosts(text: string, file: string): KnownHost[] {
  return text.split('\n').flatMap((line, index) => parseLine(line.trim(), file, index + 1))
}

/** `name` is the bare host, or `[host]:port` away from port 22. */
export function checkHostKey(entries: readonly KnownHost[], name: string, key: Buffer): Verdict {
  const matching = entries.filter((entry) => matchesHost(entry.hosts, name))
  const revoked = matching.find((entry) => entry.marker === 'revoked' && entry.key.equals(key))
  if (revoked !== undefined) return {entry: revoked, kind: 'revoked'}
  const named = matching.filter((entry) => entry.marker === undefined)
  if (named.some((entry) => entry.key.equals(key))) return {kind: 'known'}
  const other = named.find((entry) => entry.keyType === keyTypeOf(key)) ?? named[0]
  // Also when only another type is on file: its types were asked for first, so the host has lost the key it was known by.
  if (other !== undefined) return {entry: other, kind: 'changed'}
  return (
    bareVerdict(entries, name, key) ?? {
      authority: matching.some((entry) => entry.marker === 'cert-authority'),
      kind: 'unknown',
    }
  )
}

/** Whether an entry speaks of this host. */
export function matchesName({hosts}: KnownHost, name: string): boolean {
  return matchesHost(hosts, name)
}

/** Key types on file for a host, most specific name first; to be asked for before all others. */
export function knownKeyTypes(entries: readonly KnownHost[], name: string): string[] {
  const types = [name, bareName(name)].flatMap((asked) =>
    entries
      .filter(
        (entry) =>
          entry.marker === undefined && asked !== undefined && matchesHost(entry.hosts, asked),
      )
      .map((entry) => entry.keyType),
  )
  return [...new Set(types)]
}

/** As `ssh-keygen -l` prints it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`
}

export function knownHostsLine(name: string, key: Buffer): string {
  return `${name} ${keyTypeOf(key)} ${key.toString('base64')}\n`
}

/** The first string of a key blob names its type. */
export function keyTypeOf(key: Buffer): string {
  const length = key.length >= 4 ? key.readUInt32BE(0) : 0
  return key.subarray(4, 4 + length).toString('latin1')
}

/** Away from port 22 OpenSSH also takes a key that is on file for the host's bare name; another key there proves nothing. */
function bareVerdict(
  entries: readonly KnownHost[],
  name: string,
  key: Buffer,
): Verdict | undefined {
  const bare = bareName(name)
  if (bare === undefined) return undefined
  const verdict = checkHostKey(entries, bare, key)
  return verdict.kind === 'known' || verdict.kind === 'revoked' ? verdict : undefined
}

function bareName(name: string): string | undefined {
  return /^\[(.+)\]:\d+$/.exec(name)?.[1]
}

function parseLine(line: string, file: string, number: number): KnownHost[] {
  if (line === '' || line.startsWith('#')) return []
  const words = line.split(/[ \t]+/)
  const marker = words[0]?.startsWith('@') ? words.shift()?.slice(1) : undefined
  if (marker !== undefined && marker !== 'revoked' && marker !== 'cert-authority') return []
  const [hosts, keyType, encoded] = words
  if (hosts === undefined || keyType === undefined || encoded === undefined) return []
  const key = Buffer.from(encoded, 'base64')
  if (keyTypeOf(key) !== keyType) return []
  return [{file, hosts, key, keyType, line: number, marker}]
}

function matchesHost(hosts: string, name: string): boolean {
  if (hosts.startsWith('|')) return matchesHashed(hosts, name)
  const patterns = hosts.toLowerCase().split(',')
  const lower = name.toLowerCase()
  if (
    patterns.some((pattern) => pattern.startsWith('!') && matchesPattern(pattern.slice(1), lower))
  )
    return false
  return patterns.some((pattern) => !pattern.startsWith('!') && matchesPattern(pattern, lower))
}

function matchesHashed(hosts: string, name: string): boolean {
  const [, version, salt, hash] = hosts.split('|')
  if (version !== '1' || salt === undefined || hash === undefined) return false
  return (
    createHmac('sha1', Buffer.from(salt, 'base64')).update(name.toLowerCase()).digest('base64') ===
    hash
  )
}

/** `*` and `?` as in a shell, brackets literally. Linear: a hostile pattern must not stall us. */
function matchesPattern(pattern: string, text: string): boolean {
  let at = 0
  let from = 0
  let star = -1
  let resume = 0
  while (at < text.length) {
    if (
      from < pattern.length &&
      (pattern[from] === '?' || pattern[from] === text[at]) &&
      pattern[from] !== '*'
    ) {
      at += 1
      from += 1
    } else if (pattern[from] === '*') {
      star = from
      resume = at
      from += 1
    } else if (star >= 0) {
      resume += 1
      at = resume
      from = star + 1
    } else return false
  }
  while (pattern[from] === '*') from += 1
  return from === pattern.length
}
