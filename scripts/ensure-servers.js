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
  const folders = [process.env.PATH ?? '', '/usr/sbin', '/sbin', ...(await goFolders())]
  const path = folders.join(delimiter)
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

async function goFolders() {
  const usual = ['/usr/local/go/bin']
  const {code, stdout} = await run(['go', 'env', 'GOBIN', 'GOPATH'], {capture: true, minutes: 1})
  if (code !== 0) return usual
  const [bin, root] = stdout.split('\n')
  return [...usual, ...(bin ? [bin] : []), ...(root ? [join(root.split(delimiter)[0], 'bin')] : [])]
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
