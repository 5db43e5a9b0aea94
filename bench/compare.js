// `npm run bench`: dumont beside other backup tools on one workspace and one S3 server on loopback: interleaved, the order
// turned each round, cold caches, medians. Everything it makes lies in bench-work/. Uses Node's own modules only.
import {mkdirSync, rmSync, statfsSync, statSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {ensureBuilt} from '../scripts/ensure-packages.js'
import {ensureServers} from '../scripts/ensure-servers.js'
import {run, say} from '../scripts/run-step.js'
import {barChart} from './chart.js'
import {BenchFailed, makeData} from './data.js'
import {describeMachine} from './machine.js'
import {readOptions} from './options.js'
import {findPeers} from './peers.js'
import {summarize, tables} from './report.js'
import {retirement} from './retire.js'
import {STEPS, turn} from './round.js'
import {startServer} from './server.js'
import {startSshd} from './sshd.js'
import {targets} from './targets.js'
import {canEmptyCaches, timed} from './timing.js'
import {describeTools} from './tools/all.js'
import {environmentOf} from './tools/command.js'

const NEEDED_BYTES = {full: 16e9, quick: 5e9}

const options = readOptions()
if (options) {
  try {
    await main(options)
  } catch (error) {
    if (!(error instanceof BenchFailed)) throw error
    process.stderr.write(`\nThe benchmark failed: ${error.message}\n`)
    process.exitCode = 1
  }
}

async function main({quick, rounds: count, tools: wanted, work}) {
  mkdirSync(work, {recursive: true})
  needSpace(work, quick ? NEEDED_BYTES.quick : NEEDED_BYTES.full)
  if (!(await ensureBuilt())) throw new BenchFailed('dumont could not be built')
  const {path} = await ensureServers()
  for (const name of ['target', 'home']) rmSync(join(work, name), {force: true, recursive: true})
  const retired = retirement(work)
  retired.clear()
  const data = await makeData({quick, work})
  const programs = await findPeers({path, python: data.python, work})
  const server = await startServer({path, work})
  const home = join(work, 'home/dumont-ssh')
  const sshd = await startSshd({home, path, python: data.python, work})
  try {
    const all = await describeTools(programs, {sshd})
    const tools = all.filter(({name}) => !wanted || wanted.includes(name))
    const bench = {data, retired, server, touched: Date.now(), work}
    const machine = {...(await describeMachine(data.python)), isCold: canEmptyCaches()}
    if (!machine.isCold) say('not root: the caches cannot be emptied, everything is read warm')
    const {rounds, warmUp} = await measure({bench, count, tools})
    const weightsAlone = tools.some(({name}) => name === 'dumont')
      ? await storeWeightsAlone(all[0], bench)
      : {}
    const raw = await bytesOf(data.workspace)
    const summary = summarize({raw, rounds, tools, warmUp})
    report({machine, quick, raw, rounds, summary, warmUp, weightsAlone}, work)
  } finally {
    server.stop()
    sshd?.stop()
    retired.clear()
  }
}

async function measure({bench, count, tools}) {
  const rounds = []
  let warmUp
  for (let round = 0; round <= count; round++) {
    const figures = {}
    for (const [index, tool] of rotated(tools, round).entries()) {
      const memory = round === 0
      say(
        `${memory ? 'warm-up' : `round ${round} of ${count}`}: ${tool.name} (${index + 1} of ${tools.length})`,
      )
      figures[tool.name] = await turn(tool, bench, {label: `round-${round}-${tool.name}`, memory})
      for (const step of STEPS) {
        const {cpu, wall} = figures[tool.name][step]
        process.stderr.write(`${step.padEnd(8)} ${wall.toFixed(2)} s, CPU ${cpu.toFixed(2)} s\n`)
      }
    }
    if (round === 0) warmUp = figures
    else rounds.push(figures)
  }
  return {rounds, warmUp}
}

function rotated(list, by) {
  const start = by % list.length
  return [...list.slice(start), ...list.slice(0, start)]
}

/** Stored / raw of real weights in each width; not timed. */
async function storeWeightsAlone(dumont, bench) {
  const {data, server, work} = bench
  const ratios = {}
  for (const [width, file] of Object.entries(data.realWeights)) {
    const prefix = `weights-${width}`
    const home = join(work, 'home', dumont.name)
    const place = {bucket: server.bucket, endpoint: server.endpoint, home, prefix, workspace: file}
    const command = dumont.create(place, 1)
    const env = environmentOf(command, {home, python: data.python})
    await timed({...command, env}, {memory: false, python: data.python, server, work})
    ratios[width] = server.stored(prefix).bytes / statSync(file).size
    bench.retired.retire(server.folder(prefix))
  }
  return ratios
}

function report(result, work) {
  const {machine, quick, raw, rounds, summary, weightsAlone} = result
  const reached = targets(summary, weightsAlone)
  const folder = join(work, 'results')
  mkdirSync(folder, {recursive: true})
  const file = join(folder, `${machine.date.replaceAll(/[:.]/g, '-')}${quick ? '-quick' : ''}`)
  writeFileSync(`${file}.json`, `${JSON.stringify({...result, targets: reached}, undefined, 1)}\n`)
  writeFileSync(
    `${file}.svg`,
    chartOf(summary, `${(raw / 1e9).toFixed(2)} GB, ${machine.cores} cores`),
  )
  const text = [
    `Workspace ${(raw / 1e9).toFixed(2)} GB; medians of ${rounds.length} rounds; ${machine.isCold ? 'cold' : 'WARM'} caches.`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB.toFixed(0)} GiB, Linux ${machine.kernel}, ${machine.system}; Node ${machine.node}, Python ${machine.python}; load ${machine.load.toFixed(1)} at the start.`,
    `${machine.date}, commit ${machine.commit}${machine.commitIsExact ? '' : ' with changes'}. ${summary.map(({name, version}) => `${name}: ${version}`).join('; ')}.`,
    '',
    tables(summary),
    '',
    ...reached.map(
      ({isMet, name, text: value}) => `${isMet ? 'met ' : 'MISSED'}  ${name}: ${value}`,
    ),
    '',
  ]
  writeFileSync(`${file}.md`, text.join('\n'))
  process.stdout.write(text.join('\n'))
  say(`${file}.json, .svg, .md`)
}

function chartOf(summary, circumstances) {
  const names = {
    again: 'create, unchanged',
    changed: 'create, one checkpoint changed',
    over: 'restore over a tree',
  }
  const groups = STEPS.map((step) => ({
    bars: summary.map(({name, steps}) => {
      const {high, low, median} = steps[step].wall
      return {high, low, name, value: median}
    }),
    name: names[step] ?? step,
  }))
  return barChart({groups, title: `Seconds, shorter is better (${circumstances})`, unit: 's'})
}

async function bytesOf(folder) {
  // du counts a file with several names once, as every tool here is expected to.
  const {stdout} = await run(['du', '-s', '-b', folder], {capture: true})
  return Number(stdout.split('\t')[0])
}

function needSpace(work, bytes) {
  const {bavail, bsize} = statfsSync(work)
  if (bavail * bsize < bytes)
    throw new BenchFailed(`${work} has less than ${(bytes / 1e9).toFixed(0)} GB free; see --work`)
}
