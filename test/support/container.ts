import {execFileSync, spawn, type ChildProcess} from 'node:child_process'
import {mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {freePort} from './free-port.js'
import {makeKey} from './sshd.js'

/** A box as vendors make them: root of its own on an overlay, own processes, a mark in the first one's environment, sshd. */
export interface Container {
  readonly port: number
  readonly user: string
  readonly identityFile: string
  readonly knownHostsFile: string
  readonly hostKeyLine: string
  /** Where a path of the container is for this machine. */
  at(path: string): string
  /** Runs a program inside, as another login would; gives its stdout. */
  run(...argv: string[]): string
  close(): Promise<void>
}

export interface ContainerOptions {
  /** Of its first process. */
  readonly env?: Readonly<Record<string, string>>
  /** Directories of this machine by where they are seen inside, read-only. */
  readonly lent?: Readonly<Record<string, string>>
}

/** Whether namespaces and overlays may be made here. */
export function canContain(): boolean {
  try {
    execFileSync('unshare', ['-m', '-p', '-f', 'mount', '-t', 'tmpfs', 'none', '/mnt'], {
      stdio: 'pipe',
    })
    return true
  } catch {
    return false
  }
}

/** Its disk is a file system in memory below an overlay, so that it is gone with the last process. */
export async function startContainer({env = {}, lent = {}}: ContainerOptions): Promise<Container> {
  const folder = await mkdtemp(join(tmpdir(), 'dumont-container-'))
  const etc = join(folder, 'image/etc')
  for (const name of [
    'dev',
    'etc/ssh',
    'proc',
    'root',
    'run/sshd',
    'tmp',
    'usr',
    'var',
    'opt',
    'workspace',
  ])
    await mkdir(join(folder, 'image', name), {recursive: true})
  await writeFile(join(etc, 'passwd'), PASSWD)
  await writeFile(join(etc, 'group'), 'root:x:0:\n')
  const identityFile = makeKey(join(folder, 'client'))
  const hostKey = makeKey(join(etc, 'ssh/host'))
  const port = await freePort()
  await writeFile(join(etc, 'ssh/client.pub'), await readFile(`${identityFile}.pub`))
  await writeFile(join(etc, 'ssh/config'), config(port))
  const hostKeyLine = `[127.0.0.1]:${port} ${(await readFile(`${hostKey}.pub`, 'utf8')).trim()}`
  const knownHostsFile = join(folder, 'known_hosts')
  await writeFile(knownHostsFile, `${hostKeyLine}\n`, {mode: 0o600})
  const {child, first} = await begin(folder, {env, lent})
  return {
    at: (path) => `/proc/${first}/root${path}`,
    async close() {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      process.kill(first, 'SIGKILL')
      await ended
      await rm(folder, {force: true, recursive: true})
    },
    hostKeyLine,
    identityFile,
    knownHostsFile,
    port,
    run: (...argv) =>
      execFileSync('nsenter', ['-t', String(first), '-m', '-p', '-r', '-w', ...argv], {
        encoding: 'utf8',
        stdio: 'pipe',
      }),
    user: 'root',
  }
}

const PASSWD = 'root:x:0:0:root:/root:/bin/sh\nsshd:x:74:74:sshd:/run/sshd:/usr/sbin/nologin\n'

/** Mounts inside a namespace of its own; the programs are this machine's, lent read-only. */
const BEGIN = `set -e
mount --make-rprivate /
mount -t tmpfs -o size=256m disk "$1/disk"
mkdir -p "$1/disk/upper" "$1/disk/work" "$1/root"
mount -t overlay -o "lowerdir=$1/image,upperdir=$1/disk/upper,workdir=$1/disk/work" overlay "$1/root"
for lent in /usr /bin /sbin /lib /lib64; do
  [ -d "$lent" ] || continue
  mkdir -p "$1/root$lent"
  mount --bind "$lent" "$1/root$lent"
  mount -o remount,bind,ro "$1/root$lent"
done
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
new=$1
shift
while [ $# -gt 0 ]; do
  mkdir -p "$new/root$2"
  mount --bind "$1" "$new/root$2"
  mount -o remount,bind,ro "$new/root$2"
  shift 2
done
touch "$new/root/.dockerenv"
cd "$new/root"
pivot_root . "$new/root/tmp"
umount -l /tmp
/usr/sbin/sshd -D -e -f /etc/ssh/config &
wait`

async function begin(
  folder: string,
  {env, lent}: Required<ContainerOptions>,
): Promise<{child: ChildProcess; first: number}> {
  await mkdir(join(folder, 'disk'))
  await mkdir(join(folder, 'root'))
  const argv = [
    '-m',
    '-p',
    '-f',
    '--kill-child',
    'sh',
    '-c',
    BEGIN,
    'sh',
    folder,
    ...Object.entries(lent).flatMap(([inside, from]) => [from, inside]),
  ]
  const PATH = '/usr/sbin:/usr/bin:/sbin:/bin'
  const child = spawn('unshare', argv, {env: {...env, PATH}, stdio: ['ignore', 'ignore', 'pipe']})
  let text = ''
  await new Promise<void>((resolve, reject) => {
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (text.includes('Server listening')) resolve()
    })
    child.once('exit', () => reject(new Error(`the container did not start: ${text}`)))
    child.once('error', reject)
  })
  const children = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
  return {child, first: Number(children.trim())}
}

function config(port: number): string {
  return [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    'HostKey /etc/ssh/host',
    'AuthorizedKeysFile /etc/ssh/client.pub',
    'PidFile none',
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    '',
  ].join('\n')
}
