import {join, resolve} from 'node:path'
import {parseArgs} from 'node:util'
import {ROOT} from '../scripts/run-step.js'

const USAGE = `usage: npm run bench -- [--quick] [--rounds N] [--tools NAME,NAME…] [--work DIRECTORY]

  --quick    about 0.5 GB and one round instead of 1.7 GB and three
  --rounds   rounds that count; one more before them warms up and measures memory
  --tools    of dumont, dumont-ssh, tar, restic, borg, rclone [default: all that can be had]
  --work     where everything is made and downloads are kept [default: bench-work]
`

/**
 * What the command line of the comparison asks for; undefined after the usage was printed.
 *
 * @returns {{quick: boolean, rounds: number, tools: string[] | undefined, work: string} | undefined}
 */
export function readOptions() {
  const {values} = parseArgs({
    options: {
      help: {default: false, type: 'boolean'},
      quick: {default: false, type: 'boolean'},
      rounds: {type: 'string'},
      tools: {type: 'string'},
      work: {default: join(ROOT, 'bench-work'), type: 'string'},
    },
  })
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3))
  if (values.help || !Number.isInteger(rounds) || rounds < 1) {
    process.stderr.write(USAGE)
    process.exitCode = values.help ? 0 : 2
    return undefined
  }
  return {
    quick: values.quick,
    rounds,
    tools: values.tools?.split(','),
    work: resolve(values.work),
  }
}
