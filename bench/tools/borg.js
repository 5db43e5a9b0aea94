import {join} from 'node:path'
import {quoted, shell, versionOf} from './command.js'

/** borg 1 cannot speak S3: its repository lies on the box's disk, and s5cmd sends it and fetches it. */
export async function borg({borg: program, s5cmd}) {
  const sync = ({endpoint}) => `${quoted(s5cmd)} --log error --endpoint-url ${endpoint} sync`
  return {
    create: (place, step) => ({
      argv: shell(
        `${quoted(program)} create --compression zstd,1 ${quoted(`${repository(place)}::${step}`)} workspace; ${sync(place)} --delete ${quoted(`${repository(place)}/`)} ${remote(place)}`,
      ),
      cwd: place.work,
      env: environment(place),
    }),
    name: 'borg',
    prepare: (place) => [
      {
        argv: [program, 'init', '--encryption', 'repokey-blake2', repository(place)],
        env: environment(place),
      },
    ],
    restore: (place, step) => {
      const fetched = join(place.home, 'fetched')
      return {
        argv: shell(
          `rm -rf ${quoted(fetched)}; ${sync(place)} '${remote(place)}*' ${quoted(`${fetched}/`)}; ${quoted(program)} extract --numeric-ids ${quoted(`${fetched}::${step}`)}`,
        ),
        cwd: place.target,
        env: environment(place),
      }
    },
    version: `${await versionOf(program, '--version')} + s5cmd sync`,
  }
}

function repository({home}) {
  return join(home, 'repository')
}

function remote({bucket, prefix}) {
  return `s3://${bucket}/${prefix}/`
}

function environment({home}) {
  return {
    BORG_BASE_DIR: home,
    BORG_PASSPHRASE: 'bench',
    BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
  }
}
