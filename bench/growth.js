// How dumont's costs grow: with the number of files, with the bytes, with the snapshots in a store. One run each, cold,
// on one S3 server on loopback; memory is sampled in the same runs. Every restored tree is compared.
// usage: node bench/growth.js [--files 1000,10000,100000] [--gigabytes 1,2,5] [--snapshots 10000] [--work DIRECTORY]
import {mkdirSync, statfsSync, writeFileSync} from 'node:fs'
import {join, resolve} from 'node:path'
import {parseArgs} from 'node:util'
import {ensureBuilt} from '../scripts/ensure-packages.js'
import {ensureServers} from '../scripts/ensure-servers.js'
import {ROOT, say} from '../scripts/run-step.js'
import {lineChart} from './chart.js'
import {BenchFailed, describedComparison, ensureBenchPython, must} from './data.js'
import {describeMachine} from './machine.js'
import {equality, markdownTable} from './report.js'
import {retirement} from './retire.js'
import {startServer} from './server.js'
import {timed} from './timing.js'
import {environmentOf} from './tools/command.js'
import {dumont} from './tools/dumont.js'

const MAKER = join(ROOT, 'bench/growth_data.py')
const LIMIT_FILES = 1_000_000
const LIMIT_GIGABYTES = 20
const SETTLED_MS = 62_000

const {values} = parseArgs({
  options: {
    files: {default: '1000,10000,100000', type: 'string'},
    gigabytes: {default: '1,2,5', type: 'string'},
    snapshots: {default: '10000', type: 'string'},
    work: {default: join(ROOT, 'bench-work'), type: 'string'},
  },
})

try {
  await main(resolve(values.work))
} catch (error) {
  if (!(error instanceof BenchFailed)) throw error
  process.stderr.write(`\nThe benchmark failed: ${error.message}\n`)
  process.exitCode = 1
}

async function main(work) {
  mkdirSync(work, {recursive: true})
  if (!(await ensureBuilt())) throw new BenchFailed('dumont could not be built')
  const {path} = await ensureServers()
  const python = await ensureBenchPython(work)
  const retired = retirement(work)
  retired.clear()
  const server = await startServer({path, work})
  try {
    const bench = {python, retired, server, tool: dumont(), work}
    const machine = await describeMachine(python)
    const files = []
    for (const count of numbers(values.files, LIMIT_FILES))
      files.push(await grow(bench, 'files', count))
    const gigabytes = []
    for (const count of numbers(values.gigabytes, LIMIT_GIGABYTES))
      gigabytes.push(await grow(bench, 'gigabytes', count))
    const lists = []
    for (const count of numbers(values.snapshots, 100_000)) lists.push(await listMany(bench, count))
    report({files, gigabytes, lists, machine}, work)
  } finally {
    server.stop()
    retired.clear()
  }
}

function numbers(text, most) {
  const list = text.split(',').filter(Boolean).map(Number)
  if (list.some((each) => !Number.isInteger(each) || each < 1 || each > most))
    throw new BenchFailed(`"${text}": whole numbers up to ${most}, please`)
  return list
}

/** Create, create again and restore of a tree with `count` files or gigabytes. */
async function grow(bench, kind, count) {
  say(`${count} ${kind}`)
  const {python, retired, server, tool, work} = bench
  // A tree makes room for its copy before that is restored; the store keeps a fiftieth of it.
  needSpace(work, kind === 'files' ? count * 16e3 : count * 1.1e9)
  const tree = join(work, 'growth')
  const target = join(work, 'target')
  for (const folder of [tree, target]) retired.retire(folder)
  await must([python, MAKER, kind, tree, String(count)])
  const made = Date.now()
  mkdirSync(join(target, 'workspace'), {recursive: true})
  const prefix = `growth-${kind}-${count}`
  const place = {...placeIn(bench, prefix), target, workspace: tree}
  // Files younger than a minute are read again by the next create.
  await new Promise((wake) => {
    setTimeout(wake, Math.max(0, made + SETTLED_MS - Date.now()))
  })
  const create = await step(bench, tool.create(place))
  const stored = server.stored(prefix).bytes
  const index = server.stored(`${prefix}/index`).bytes
  const again = await step(bench, tool.create(place))
  const compare = await describedComparison(python, {original: tree, work})
  if (kind === 'gigabytes') retired.retire(tree)
  const restore = await step(bench, tool.restore(place))
  const differences = equality([await compare(join(target, 'workspace'))])
  for (const folder of [tree, target, server.folder(prefix)]) retired.retire(folder)
  return {again, count, create, differences, index, restore, stored}
}

/** `snapshot list` over a store with fabricated manifests. */
async function listMany(bench, count) {
  say(`list of ${count} snapshots`)
  const {python, retired, server, tool, work} = bench
  const prefix = `growth-list-${count}`
  const tree = join(work, 'growth')
  mkdirSync(tree, {recursive: true})
  writeFileSync(join(tree, 'one.txt'), 'one')
  const place = {...placeIn(bench, prefix), workspace: tree}
  await step(bench, tool.create(place))
  await must([python, MAKER, 'manifests', server.folder(`${prefix}/snapshots`), String(count)])
  const cold = await step(bench, tool.list(place))
  const listed = JSON.parse(cold.stdout)
  for (const folder of [tree, server.folder(prefix)]) retired.retire(folder)
  return {cold: {...cold, stdout: ''}, count, listed: countOf(listed)}
}

function countOf(document) {
  const shown = Array.isArray(document) ? document : document.snapshots
  return Array.isArray(shown) ? shown.length : 0
}

function placeIn({server, tool, work}, prefix) {
  const home = join(work, 'home', tool.name)
  return {bucket: server.bucket, endpoint: server.endpoint, home, prefix, work}
}

async function step({python, server, tool, work}, command) {
  const env = environmentOf(command, {home: join(work, 'home', tool.name), python})
  return timed({...command, env}, {memory: true, python, server, work})
}

function report({files, gigabytes, lists, machine}, work) {
  const folder = join(work, 'results')
  mkdirSync(folder, {recursive: true})
  const file = join(folder, `${machine.date.replaceAll(/[:.]/g, '-')}-growth`)
  const text = [
    `${machine.cpu}, ${machine.cores} cores; ${machine.date}, commit ${machine.commit}; load ${machine.load.toFixed(1)} at the start.`,
    '',
    growthTable(files, {per: 1000, unit: 'thousand files'}),
    '',
    growthTable(gigabytes, {per: 1, unit: 'GB'}),
    '',
    ...lists.map(
      ({cold, count, listed}) =>
        `list of ${count} snapshots (${listed} shown): ${cold.wall.toFixed(2)} s, CPU ${cold.cpu.toFixed(2)} s, peak ${(cold.peakBytes / 1e6).toFixed(0)} MB`,
    ),
    '',
  ].join('\n')
  writeFileSync(
    `${file}.json`,
    `${JSON.stringify({files, gigabytes, lists, machine}, undefined, 1)}\n`,
  )
  writeFileSync(`${file}.md`, text)
  for (const [name, runs, per] of [
    ['files', files, 1000],
    ['gigabytes', gigabytes, 1],
  ])
    if (runs.length > 0) writeFileSync(`${file}-${name}.svg`, growthChart(runs, {name, per}))
  process.stdout.write(`${text}\n${file}.*\n`)
}

function growthTable(runs, {per, unit}) {
  const headings = [
    unit === 'GB' ? 'GB' : 'files',
    'create s',
    `create s/${unit}`,
    `CPU s/${unit}`,
    'again s',
    'restore s',
    unit === 'GB' ? 'restore MB/s' : 'restore files/s',
    'peak MB: create, again, restore',
    unit === 'GB' ? 'index bytes' : 'index bytes/file',
    'equal',
  ]
  return markdownTable(headings, runs, (run) => [
    String(run.count),
    run.create.wall.toFixed(2),
    ((run.create.wall / run.count) * per).toFixed(3),
    ((run.create.cpu / run.count) * per).toFixed(3),
    run.again.wall.toFixed(2),
    run.restore.wall.toFixed(2),
    ((run.count * (unit === 'GB' ? 1000 : 1)) / run.restore.wall).toFixed(0),
    [run.create, run.again, run.restore]
      .map(({peakBytes}) => (peakBytes / 1e6).toFixed(0))
      .join(', '),
    unit === 'GB' ? String(run.index) : (run.index / run.count).toFixed(1),
    run.differences,
  ])
}

function growthChart(runs, {name, per}) {
  const series = ['create', 'again', 'restore'].map((each) => ({
    name: each,
    points: runs.map((run) => [run.count, (run[each].wall / run.count) * per]),
  }))
  const y = `wall seconds per ${per === 1 ? 'GB' : 'thousand files'}`
  return lineChart({series, title: `Growth with ${name}`, x: name, y})
}

function needSpace(work, bytes) {
  const {bavail, bsize} = statfsSync(work)
  if (bavail * bsize < bytes + 5e9)
    throw new BenchFailed(`${work} has too little space for ${(bytes / 1e9).toFixed(0)} GB more`)
}
