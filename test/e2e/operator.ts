import {appendFile, copyFile, mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {Sshd} from '../support/sshd.js'
import type {Versitygw} from '../support/versitygw.js'

/** What a server must tell of itself. */
type Reached = Pick<Sshd, 'hostKeyLine' | 'identityFile' | 'port' | 'user'>

export interface Operator {
  /** HOME of the operator: keys, known hosts, and nothing else. */
  readonly home: string
  /** Argument of `--host` for a server, or for another port that leads to it. */
  host(sshd: Reached, port?: number): string
  trust(sshd: Reached, port?: number): Promise<void>
  remove(): Promise<void>
}

/** A home directory whose key these servers accept. */
export async function startOperator(...servers: readonly Reached[]): Promise<Operator> {
  const home = await mkdtemp(join(tmpdir(), 'dumont-operator-'))
  const folder = join(home, '.ssh')
  await mkdir(folder, {mode: 0o700})
  await writeFile(join(folder, 'known_hosts'), '', {mode: 0o600})
  const identities = servers.map((server, index) => ({
    name: join(folder, `id_${index}`),
    server,
  }))
  for (const {name, server} of identities) await copyFile(server.identityFile, name)
  const lines = identities.map(({name}) => `IdentityFile ${name}`)
  await writeFile(join(folder, 'config'), `${lines.join('\n')}\nIdentitiesOnly yes\n`)
  const trust = async (sshd: Reached, port = sshd.port): Promise<void> => {
    const line = sshd.hostKeyLine.replace(`:${sshd.port}`, `:${port}`)
    await appendFile(join(folder, 'known_hosts'), `${line}\n`)
  }
  for (const server of servers) await trust(server)
  return {
    home,
    host: (sshd, port = sshd.port) => `${sshd.user}@127.0.0.1:${port}`,
    remove: () => rm(home, {force: true, recursive: true}),
    trust,
  }
}

/** Environment that names the account of a test's S3 server. */
export function credentials(server: Versitygw): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: server.accessKeyId,
    AWS_REGION: server.region,
    AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
  }
}
