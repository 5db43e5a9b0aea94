import {type ChildProcess, execFileSync, spawn} from 'node:child_process'
import {once} from 'node:events'
import {existsSync} from 'node:fs'
import {mkdir, mkdtemp, rm} from 'node:fs/promises'
import {connect} from 'node:net'
import {homedir, tmpdir} from 'node:os'
import path from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {freePort} from './free-port.js'

export interface Versitygw {
  readonly endpoint: string
  readonly bucket: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly region: string
  /** Directory that holds the bucket's objects as files. */
  readonly root: string
  close(): Promise<void>
}

/** Path of the S3 server the tests use; undefined, said loudly, where there is none. */
export function findVersitygw(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(path.delimiter), goBin()]
  const found = folders
    .map((folder) => path.join(folder, 'versitygw'))
    .find((file) => existsSync(file))
  if (!found)
    process.stderr.write(
      'SKIPPED: tests against a real S3 server, because versitygw is missing ' +
        '(go install github.com/versity/versitygw/cmd/versitygw@v1.8.0)\n',
    )
  return found
}

/** A real S3 server on a free loopback port with one empty bucket, in a directory of its own. */
export async function startVersitygw(binary = findVersitygw()): Promise<Versitygw> {
  if (!binary) throw new Error('versitygw is missing')
  const folder = await mkdtemp(path.join(tmpdir(), 'dumont-versitygw-'))
  const [data, sidecar] = [path.join(folder, 'data'), path.join(folder, 'sidecar')]
  await mkdir(path.join(data, 'bucket'), {recursive: true})
  await mkdir(sidecar)
  const port = await freePort()
  const child = spawn(binary, argumentsFor(port, data, sidecar), {stdio: 'ignore'})
  await untilListening(port, child)
  return {
    endpoint: `http://127.0.0.1:${port}`,
    bucket: 'bucket',
    accessKeyId: 'test',
    secretAccessKey: 'versitygw-of-the-tests',
    region: 'us-east-1',
    root: path.join(data, 'bucket'),
    close: () => stop(child, folder),
  }
}

function argumentsFor(port: number, data: string, sidecar: string): string[] {
  const flags = {
    port: `127.0.0.1:${port}`,
    access: 'test',
    secret: 'versitygw-of-the-tests',
    region: 'us-east-1',
  }
  const named = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])
  return [...named, '--quiet', '--keep-alive', 'posix', '--sidecar', sidecar, data]
}

function goBin(): string {
  try {
    const root = execFileSync('go', ['env', 'GOPATH'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
    return path.join(root, 'bin')
  } catch {
    return path.join(homedir(), 'go', 'bin')
  }
}

async function untilListening(port: number, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt++) {
    if (child.exitCode !== null) throw new Error(`versitygw ended with ${child.exitCode}`)
    const socket = connect(port, '127.0.0.1')
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (connected) return
    await delay(25)
  }
  throw new Error('versitygw does not answer')
}

async function stop(child: ChildProcess, folder: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  await rm(folder, {recursive: true, force: true})
}
