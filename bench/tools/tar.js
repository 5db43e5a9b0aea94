import {quoted, shell, versionOf} from './command.js'

// With these it keeps as much as it can.
const FLAGS = "--format=posix --xattrs --xattrs-include='*' --acls --numeric-owner"

/** The way without any tool: a stream through zstd into one object, everything each time. */
export async function tar({s5cmd, tar: program, zstd}) {
  const client = ({endpoint}) => `${quoted(s5cmd)} --endpoint-url ${endpoint}`
  const names = {s5cmd: [s5cmd, 'version'], tar: [program, '--version'], zstd: [zstd, '--version']}
  const versions = Object.entries(names).map(
    async ([name, argv]) => `${name} ${await versionOf(...argv)}`,
  )
  return {
    create: (place, step) => ({
      argv: shell(
        `${quoted(program)} ${FLAGS} -C ${quoted(place.work)} -cf - workspace | ${quoted(zstd)} -q -1 -T0 | ${client(place)} pipe ${key(place, step)}`,
      ),
    }),
    name: 'tar',
    restore: (place, step) => ({
      argv: shell(
        `${client(place)} cat ${key(place, step)} | ${quoted(zstd)} -q -d | ${quoted(program)} ${FLAGS} -C ${quoted(place.target)} -xpf -`,
      ),
    }),
    version: (await Promise.all(versions)).join(' + '),
  }
}

function key({bucket, prefix}, step) {
  return `s3://${bucket}/${prefix}/${step}.tar.zst`
}
