import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {ROOT} from '../../scripts/run-step.js'

const COMMAND = [process.execPath, join(ROOT, 'bin/run.js'), 'snapshot']

/** dumont on this machine, or with `sshd` through a real SSH server, where the worker's CPU and memory are not seen. */
export function dumont({sshd} = {}) {
  const host = sshd ? ['--host', sshd.host] : ['--host', 'local']
  return {
    create: (place) => ({argv: [...COMMAND, 'create', ...host, ...store(place), place.workspace]}),
    list: (place) => ({argv: [...COMMAND, 'list', ...store(place)]}),
    isElsewhere: sshd !== undefined,
    name: sshd ? 'dumont-ssh' : 'dumont',
    restore: (place) => {
      const target = ['--target', join(place.target, 'workspace')]
      return {argv: [...COMMAND, 'restore', 'latest', ...host, ...store(place), ...target]}
    },
    // A file younger than a minute is read again by the next create, so the workspace is left alone for that long.
    settles: true,
    version: JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version,
  }
}

function store({bucket, endpoint, prefix}) {
  const address = `s3://${bucket}/${prefix}`
  return ['--store', address, '--endpoint', endpoint, '--json', '--quiet']
}
