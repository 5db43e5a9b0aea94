// How long dumont takes to answer at all: medians of 20 starts, warm. usage: node bench/startup.js [--runs 20]
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {join} from 'node:path'
import {performance} from 'node:perf_hooks'
import {parseArgs} from 'node:util'
import {ROOT} from '../scripts/run-step.js'

const COMMANDS = [['--version'], ['--help'], ['snapshot', 'list', '--help']]

const {values} = parseArgs({options: {runs: {default: '20', type: 'string'}}})
const runs = Number(values.runs)

process.stdout.write(`Node ${process.version}, ${runs} starts each, ms: median (lowest–highest)\n`)
report('node -e 0', await milliseconds([process.execPath, '-e', '0']))
for (const words of COMMANDS) {
  const argv = [process.execPath, join(ROOT, 'bin/run.js'), ...words]
  report(`dumont ${words.join(' ')}`, await milliseconds(argv))
}

/** Sorted; the first start, which reads the programs from the disk, is left out. */
async function milliseconds([program, ...args]) {
  const times = []
  for (let count = 0; count <= runs; count++) {
    const begun = performance.now()
    const child = spawn(program, args, {stdio: 'ignore'})
    const [code] = await once(child, 'exit')
    if (code !== 0) throw new Error(`ended with status ${code}: ${args.join(' ')}`)
    if (count > 0) times.push(performance.now() - begun)
  }
  return times.toSorted((a, b) => a - b)
}

function report(name, sorted) {
  const [low, median, high] = [0, Math.floor(sorted.length / 2), sorted.length - 1].map((index) =>
    sorted[index].toFixed(0),
  )
  process.stdout.write(`${name.padEnd(28)} ${median} (${low}–${high})\n`)
}
