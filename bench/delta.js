// What checkpoints of a real fine-tune take in a store alone, and as differences from an earlier one: for weights in three
// widths and for Adam's states, 1, 5 and 30 steps apart. Coded by the worker's own code; nothing is timed.
// usage: node bench/delta.js [--work DIRECTORY]
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {join, resolve} from 'node:path'
import {parseArgs} from 'node:util'
import {ensurePython} from '../scripts/ensure-python.js'
import {ROOT, run, say} from '../scripts/run-step.js'
import {BenchFailed, ensureBenchPython, ensureCheckpoints, fetchWeights} from './data.js'
import {describeMachine} from './machine.js'
import {markdownTable} from './report.js'

const KINDS = {
  bf16: 'bf16 weights',
  fp16: 'fp16 weights',
  fp32: 'fp32 weights',
  'bf16 layers': 'bf16, without embeddings',
  'fp16 layers': 'fp16, without embeddings',
  'fp32 layers': 'fp32, without embeddings',
  m: 'Adam m (fp32)',
  v: 'Adam v (fp32)',
}

const DISTANCES = [
  ['1 step on', 'step', 1],
  ['5 steps on', 'step', 5],
  ['30 steps on', 'step', 30],
  ['40 steps from the published model', 'published', 40],
]

const {values} = parseArgs({
  options: {work: {default: join(ROOT, 'bench-work'), type: 'string'}},
})

try {
  await main(resolve(values.work))
} catch (error) {
  if (!(error instanceof BenchFailed)) throw error
  process.stderr.write(`\nThe benchmark failed: ${error.message}\n`)
  process.exitCode = 1
}

async function main(work) {
  const python = await ensureBenchPython(work)
  const weights = await fetchWeights(python, work)
  const checkpoints = await ensureCheckpoints({python, weights, work})
  const worker = await ensurePython(join(ROOT, '.venv'), [
    '-r',
    join(ROOT, 'gpu-scripts/requirements/dev.txt'),
  ])
  if (!worker) throw new BenchFailed('no Python environment for the worker')
  say('the worker codes the checkpoints')
  const scratch = mkdtempSync(join(work, 'delta-'))
  const published = join(weights, 'model.safetensors')
  const table = [worker, join(ROOT, 'bench/delta_table.py'), checkpoints, published, scratch]
  const {code, stdout} = await run(table, {capture: true, minutes: 30, stderr: 'inherit'})
  rmSync(scratch, {force: true, recursive: true})
  if (code !== 0) throw new BenchFailed(`the checkpoints could not be measured (status ${code})`)
  await report(work, JSON.parse(stdout), await describeMachine(worker))
}

async function report(work, rows, machine) {
  const headings = ['stored / raw', 'alone', ...DISTANCES.map(([title]) => title)]
  const text = markdownTable(headings, Object.entries(KINDS), ([kind, title]) => {
    const own = rows.filter((row) => row.kind === kind)
    return [
      title,
      ratio(own.at(-1), 'alone'),
      ...DISTANCES.map(([, from, steps]) =>
        ratio(
          own.find((row) => row.from.includes(from) && row.steps === steps),
          'delta',
        ),
      ),
    ]
  })
  const folder = join(work, 'results')
  mkdirSync(folder, {recursive: true})
  const name = join(folder, `delta-${machine.date.replaceAll(/[:.]/g, '-')}`)
  writeFileSync(`${name}.json`, `${JSON.stringify({machine, rows}, undefined, 2)}\n`)
  writeFileSync(`${name}.md`, `${text}\n`)
  process.stdout.write(`${text}\n\n${name}.md\n`)
}

function ratio(row, what) {
  return row ? (row[what] / row.raw).toFixed(3) : '–'
}
