import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {userInfo} from 'node:os'
import {join} from 'node:path'
import {run} from '../scripts/run-step.js'
import {freePort} from './server.js'

const SSHD = '/usr/sbin/sshd'

/**
 * A real sshd on loopback, whose sessions have a home of their own and find the bench's Python first. Undefined, said
 * loudly, where OpenSSH's server is not installed.
 *
 * @param {{home: string, path: string, python: string, work: string}} options `home` is the operator's, who trusts it and has its key
 */
export async function startSshd({home, path, python, work}) {
  if (!existsSync(SSHD)) {
    process.stderr.write(`\nLEFT OUT: dumont-ssh: no ${SSHD}\n\n`)
    return undefined
  }
  const folder = join(work, 'sshd')
  rmSync(folder, {force: true, recursive: true})
  mkdirSync(join(folder, 'home'), {recursive: true})
  mkdirSync(join(home, '.ssh'), {mode: 0o700, recursive: true})
  if (userInfo().uid === 0) mkdirSync('/run/sshd', {mode: 0o755, recursive: true})
  for (const name of ['client', 'host']) await makeKey(join(folder, name))
  const port = await freePort()
  const config = join(folder, 'config')
  writeFileSync(config, configText({folder, path: `${join(python, '..')}:${path}`, port}))
  const child = spawn(SSHD, ['-D', '-e', '-f', config], {stdio: ['ignore', 'ignore', 'pipe']})
  process.once('exit', () => child.kill('SIGTERM'))
  await listening(child)
  const key = readFileSync(join(folder, 'host.pub'), 'utf8')
  const known = join(home, '.ssh/known_hosts')
  writeFileSync(known, `[127.0.0.1]:${port} ${key}`)
  chmodSync(known, 0o600)
  writeFileSync(join(home, '.ssh/config'), `IdentityFile ${folder}/client\nIdentitiesOnly yes\n`)
  return {
    host: `${userInfo().username}@127.0.0.1:${port}`,
    stop: () => child.kill('SIGTERM'),
  }
}

async function makeKey(file) {
  const keygen = ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'dumont bench', '-f', file]
  await run(keygen, {capture: true})
}

function configText({folder, path, port}) {
  return [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${folder}/host`,
    `AuthorizedKeysFile ${folder}/client.pub`,
    `PidFile ${folder}/pid`,
    `SetEnv "HOME=${folder}/home" "PATH=${path}"`,
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    '',
  ].join('\n')
}

async function listening(child) {
  let text = ''
  child.stderr.setEncoding('utf8')
  for await (const [chunk] of on(child)) {
    text += chunk
    if (text.includes('Server listening')) break
  }
  // Read on, or a full pipe would stop the server.
  child.stderr.resume()
}

async function* on(child) {
  const ended = once(child, 'exit').then(() => {
    throw new Error('sshd did not start')
  })
  ended.catch(() => undefined)
  for (;;) yield await Promise.race([once(child.stderr, 'data'), ended])
}
