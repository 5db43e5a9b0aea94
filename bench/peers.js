import {accessSync, constants} from 'node:fs'
import {delimiter, join} from 'node:path'
import {installSystem} from '../scripts/install-system.js'
import {run, say} from '../scripts/run-step.js'

const FROM_DEBIAN = {borg: 'borgbackup', restic: 'restic', tar: 'tar', zstd: 'zstd'}
const RCLONE = 'github.com/rclone/rclone@latest'

/**
 * Gets the programs dumont is compared with: Debian's by apt where this is root, the newest rclone built by Go
 * (minutes, once) into the work directory. Returns the file of each that could be had; says loudly what could not.
 *
 * @param {{path: string, python: string, work: string}} options
 * @returns {Promise<Record<string, string>>}
 */
export async function findPeers({path, python, work}) {
  const absent = Object.keys(FROM_DEBIAN).filter((name) => !find(name, path))
  if (absent.length > 0) await installSystem(absent.map((name) => FROM_DEBIAN[name]))
  const found = {s5cmd: join(python, '../s5cmd')}
  for (const name of Object.keys(FROM_DEBIAN)) {
    const file = find(name, path)
    if (file) found[name] = file
    else missing(name, `no Debian package ${FROM_DEBIAN[name]} here`)
  }
  const rclone = await ensureRclone({path, work})
  if (rclone) found.rclone = rclone
  else missing('rclone', `go install ${RCLONE} did not work`)
  return found
}

async function ensureRclone({path, work}) {
  const folder = join(work, 'go')
  const file = join(folder, 'rclone')
  if (isProgram(file)) return file
  say('rclone, built once (minutes)')
  const env = {CGO_ENABLED: '0', GOBIN: folder, PATH: path}
  const {code} = await run(['go', 'install', RCLONE], {env, minutes: 30})
  return code === 0 && isProgram(file) ? file : undefined
}

function missing(name, why) {
  process.stderr.write(`\nLEFT OUT: ${name}: ${why}\n\n`)
}

function find(program, path) {
  return path
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find(isProgram)
}

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
