import {execFileSync, spawn, type ChildProcess} from 'node:child_process'
import {existsSync} from 'node:fs'
import {mkdir, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir, userInfo} from 'node:os'
import {join} from 'node:path'

import {describe} from '@jest/globals'
import {freePort} from './free-port.js'

const SSHD = '/usr/sbin/sshd'

export interface Sshd {
  readonly port: number
  readonly user: string
  /** Private key that may log in. */
  readonly identityFile: string
  /** Holds the server's key under `[127.0.0.1]:port`. */
  readonly knownHostsFile: string
  readonly hostKeyLine: string
  /** HOME of every session: an empty directory of this server's own. */
  readonly home: string
  /** Scratch directory; goes with the server. */
  readonly directory: string
  log(): string
  /** Cuts every open connection as a dying network would: without a word. */
  killConnections(): Promise<void>
  close(): Promise<void>
}

export interface SshdOptions {
  /** Further lines of sshd_config; the first value of a keyword counts. */
  readonly config?: readonly string[]
  /** Environment of every session, on top of HOME. */
  readonly env?: Readonly<Record<string, string>>
}

export function sshdAvailable(): boolean {
  return existsSync(SSHD)
}

/** `describe` where OpenSSH's server is installed; elsewhere says loudly that the tests are left out. */
export function describeWithSshd(name: string, tests: () => void): void {
  if (sshdAvailable()) describe(name, tests)
  else {
    console.warn(`SKIPPED: "${name}" needs ${SSHD} (install openssh-server)`)
    describe.skip(name, tests)
  }
}

/** A real sshd on a free loopback port, with keys and a home directory of its own. */
export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const directory = await mkdtemp(join(tmpdir(), 'dumont-sshd-'))
  const home = join(directory, 'home')
  await mkdir(home, {mode: 0o700})
  const identityFile = makeKey(join(directory, 'client'))
  const hostKey = makeKey(join(directory, 'host'))
  const port = await freePort()
  const hostKeyLine = `[127.0.0.1]:${port} ${(await readFile(`${hostKey}.pub`, 'utf8')).trim()}`
  const knownHostsFile = join(directory, 'known_hosts')
  await writeFile(knownHostsFile, `${hostKeyLine}\n`, {mode: 0o600})
  const config = join(directory, 'sshd_config')
  await writeFile(config, configText({directory, home, hostKey, port}, options))
  if (userInfo().uid === 0) await mkdir('/run/sshd', {mode: 0o755, recursive: true})
  const {child, log} = await listening(config)
  return {
    directory,
    home,
    hostKeyLine,
    identityFile,
    killConnections: () => killSessions(child.pid ?? 0),
    knownHostsFile,
    log,
    port,
    user: userInfo().username,
    async close() {
      await killSessions(child.pid ?? 0)
      await stop(child)
      await rm(directory, {force: true, recursive: true})
    },
  }
}

/** Makes an ed25519 key pair; returns the private file. */
export function makeKey(file: string, passphrase = ''): string {
  execFileSync('ssh-keygen', [
    '-q',
    '-t',
    'ed25519',
    '-a',
    '1',
    '-N',
    passphrase,
    '-C',
    'dumont test',
    '-f',
    file,
  ])
  return file
}

interface Layout {
  readonly directory: string
  readonly home: string
  readonly hostKey: string
  readonly port: number
}

function configText(
  {directory, home, hostKey, port}: Layout,
  {config = [], env = {}}: SshdOptions,
): string {
  const variables = Object.entries({HOME: home, ...env}).map(
    ([name, value]) => `"${name}=${value}"`,
  )
  return [
    ...config,
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${directory}/client.pub`,
    `PidFile ${directory}/pid`,
    `SetEnv ${variables.join(' ')}`,
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    'LogLevel VERBOSE',
    '',
  ].join('\n')
}

function listening(config: string): Promise<{child: ChildProcess; log: () => string}> {
  const child = spawn(SSHD, ['-D', '-e', '-f', config], {stdio: ['ignore', 'ignore', 'pipe']})
  let text = ''
  return new Promise((resolve, reject) => {
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (text.includes('Server listening')) resolve({child, log: () => text})
    })
    child.once('exit', () => reject(new Error(`sshd did not start: ${text}`)))
    child.once('error', reject)
  })
}

function stop(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve()
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
}

/** Only sshd's own processes: what they had started sees the end of its stdin, as on a box. */
async function killSessions(listener: number): Promise<void> {
  const family = await processes()
  const sessions = new Set([listener])
  for (const {name, parent, pid} of family)
    if (sessions.has(parent) && name.startsWith('sshd')) sessions.add(pid)
  sessions.delete(listener)
  for (const pid of sessions) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

/** Parents before children, which is the order of start and nearly always of pids. */
async function processes(): Promise<{name: string; parent: number; pid: number}[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const read = pids
    .toSorted((a, b) => a - b)
    .map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
      const match = /^\d+ \((.*)\) \S (\d+) /s.exec(stat)
      return match ? [{name: match[1] ?? '', parent: Number(match[2]), pid}] : []
    })
  return (await Promise.all(read)).flat()
}
