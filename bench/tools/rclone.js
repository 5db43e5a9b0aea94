import {join} from 'node:path'
import {versionOf} from './command.js'

const FLAGS = [
  '--links',
  '--metadata',
  '--create-empty-src-dirs',
  '--fast-list',
  '--transfers=32',
  '--checkers=32',
  '--log-level=ERROR',
]

/** A file is an object; nothing is compressed. */
export async function rclone(program) {
  const sync = (place, from, to) => ({
    argv: [program, 'sync', from, to, ...FLAGS],
    env: environment(place),
  })
  return {
    create: (place) => sync(place, place.workspace, remote(place)),
    name: 'rclone',
    restore: (place) => sync(place, remote(place), join(place.target, 'workspace')),
    version: await versionOf(program, 'version'),
  }
}

function remote({bucket, prefix}) {
  return `s:${bucket}/${prefix}`
}

function environment({endpoint}) {
  return {
    RCLONE_CONFIG: '/dev/null',
    RCLONE_CONFIG_S_ENDPOINT: endpoint,
    RCLONE_CONFIG_S_ENV_AUTH: 'true',
    RCLONE_CONFIG_S_NO_CHECK_BUCKET: 'true',
    RCLONE_CONFIG_S_PROVIDER: 'Other',
    RCLONE_CONFIG_S_TYPE: 's3',
  }
}
