import {DumontError} from '../errors.js'
import type {ExecOptions, ExecResult, RemoteProcess, Session} from '../remote/session.js'
import {untrusted} from '../untrusted.js'

/**
 * The box's own programs, found where the system installs them and nowhere else, run without the login's environment,
 * as root where the login may become root.
 */
export interface BoxTools {
  readonly session: Session
  exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult>
  start(argv: readonly string[], signal?: AbortSignal): Promise<RemoteProcess>
}

const CLEAN = ['env', '-i', 'LC_ALL=C', 'PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin']
const NEEDED = ['cat', 'dd', 'env', 'find', 'grep', 'id', 'kill', 'sha256sum', 'stat', 'xargs']
const PROBE = `id -u
for tool in ${NEEDED.join(' ')}; do command -v "$tool" >/dev/null 2>&1 || echo "missing $tool"; done
case "$(find --version 2>/dev/null)" in *GNU*) ;; *) echo 'missing GNU find (findutils)';; esac
case "$(sha256sum --version 2>/dev/null)" in *GNU*) ;; *) echo 'missing GNU sha256sum (coreutils)';; esac
case "$(xargs --version 2>/dev/null)" in *GNU*) ;; *) echo 'missing GNU xargs (findutils)';; esac
[ "$(id -u)" = 0 ] || { sudo -n true 2>/dev/null && echo sudo; }
exit 0`

/** Finds the tools; rejects BOX_UNSUITABLE, naming what is missing, when the box cannot be counted by its own means. */
export async function openBoxTools(session: Session, signal?: AbortSignal): Promise<BoxTools> {
  const options = signal ? {signal} : {}
  const {code, stdout} = await session.exec([...CLEAN, 'sh', '-c', PROBE], options)
  const [user = '', ...lines] = Buffer.from(stdout).toString('utf8').trim().split('\n')
  if (code !== 0 || !/^\d+$/.test(user)) throw unsuitable(session, 'it does not answer as expected')
  const missing = lines.filter((line) => line.startsWith('missing '))
  if (missing.length > 0)
    throw unsuitable(session, missing.map((line) => untrusted(line, 60)).join(', '))
  if (user !== '0' && !lines.includes('sudo'))
    throw unsuitable(session, 'the login is neither root nor may it use sudo without a password')
  const prefix = user === '0' ? CLEAN : ['sudo', '-n', ...CLEAN]
  return {
    session,
    exec: (argv, more) => session.exec([...prefix, ...argv], more),
    start: (argv, stop) => session.start([...prefix, ...argv], stop),
  }
}

function unsuitable({label}: Session, what: string): DumontError {
  return new DumontError('BOX_UNSUITABLE', `${label} cannot be counted: ${what}`, {
    hint: 'install coreutils and findutils (busybox does not do) and log in as root',
  })
}

/** What a tool printed, as text; WORKER for any other exit status than those allowed. */
export async function textOf(
  tools: BoxTools,
  argv: readonly string[],
  {allowed = [0], ...options}: ExecOptions & {readonly allowed?: readonly number[]} = {},
): Promise<string> {
  const {code, stderr, stdout} = await tools.exec(argv, options)
  if (allowed.includes(code)) return Buffer.from(stdout).toString('utf8')
  throw failed(tools, argv[0] ?? '', code, stderr)
}

export function failed(
  {session}: BoxTools,
  name: string,
  code: number,
  stderr: string,
): DumontError {
  return new DumontError(
    'WORKER',
    `${name} on ${session.label} ended with ${code}: ${untrusted(stderr.trim().slice(-500), 500)}`,
  )
}
