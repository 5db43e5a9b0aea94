import {join} from 'node:path'
import {versionOf} from './command.js'

/** restic as it comes, which always encrypts. */
export async function restic(program) {
  return {
    // 0.14 cannot put a symbolic link where one is, and says so in its status; the tree is compared all the same.
    cannotOverwrite: true,
    create: (place) => ({
      argv: [program, '--quiet', 'backup', 'workspace'],
      cwd: place.work,
      env: environment(place),
    }),
    name: 'restic',
    // `latest` is the newest repository format, the first with compression.
    prepare: (place) => [
      {
        argv: [program, '--quiet', 'init', '--repository-version', 'latest'],
        env: environment(place),
      },
    ],
    restore: (place) => ({
      argv: [program, '--quiet', 'restore', 'latest', '--target', place.target],
      env: environment(place),
    }),
    version: await versionOf(program, 'version'),
  }
}

function environment({bucket, endpoint, home, prefix}) {
  return {
    RESTIC_CACHE_DIR: join(home, 'cache'),
    RESTIC_PASSWORD: 'bench',
    RESTIC_REPOSITORY: `s3:${endpoint}/${bucket}/${prefix}`,
  }
}
