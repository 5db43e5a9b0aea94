import {accessSync, constants} from 'node:fs'
import {delimiter, join} from 'node:path'
import {installSystem} from './install-system.js'
import {run, say} from './run-step.js'

const VERSITYGW = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0'

/** [program, Debian package, what is left out without it] */
const SYSTEM = [
  ['sshd', 'openssh-server', 'all tests over SSH'],
  ['ssh-keygen', 'openssh-client', 'all tests over SSH'],
  ['setfattr', 'attr', 'tests of extended attributes'],
  ['setfacl', 'acl', 'tests of POSIX ACLs'],
  ['setcap', 'libcap2-bin', 'tests of file capabilities'],
]

/**
 * Gets the servers and tools the end-to-end tests talk to. Returns {path, missing}: the PATH on which they are found,
 * and one line for each thing that could not be had.
 */
export async function ensureServers() {
  // sbin holds sshd and setcap and is not on the PATH of every user.
  const system = [process.env.PATH ?? '', '/usr/sbin', '/sbin', '/usr/local/go/bin'].join(delimiter)
  const path = [system, ...(await goFolders(system))].join(delimiter)
  const absent = SYSTEM.filter(([program]) => !find(program, path))
  if (absent.length > 0) await installSystem(absent.map(([, name]) => name))
  if (!find('versitygw', path)) await installVersitygw(path)
  const missing = SYSTEM.filter(([program]) => !find(program, path)).map(
    ([program, name, lost]) => `${program} (package ${name}): ${lost}`,
  )
  if (!find('versitygw', path)) {
    missing.push(`versitygw (go install ${VERSITYGW}): all tests against a real S3 server`)
  }
  return {missing, path}
}

async function installVersitygw(path) {
  say('versitygw, the S3 server of the tests (built once, a minute or two)')
  if (!find('go', path)) {
    process.stderr.write('Go is not here, so it cannot be built: https://go.dev/dl\n')
    return
  }
  await run(['go', 'install', VERSITYGW], {env: {CGO_ENABLED: '0', PATH: path}, minutes: 15})
}

/** Where `go install` puts programs. */
async function goFolders(path) {
  const command = ['go', 'env', 'GOBIN', 'GOPATH']
  const {code, stdout} = await run(command, {capture: true, env: {PATH: path}, minutes: 1})
  const [bin, root] = code === 0 ? stdout.split('\n') : []
  return [...(bin ? [bin] : []), ...(root ? [join(root.split(delimiter)[0], 'bin')] : [])]
}

function find(program, path) {
  return path.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
