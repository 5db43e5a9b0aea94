// Hunts for input that breaks a reader: `npm run fuzz -- [--seconds 60] [--seed 1] [cli/NAME | worker/NAME …]`.
// What is found is kept in test/fuzz/corpus or gpu-scripts/fuzz/corpus, and every later test run tries it again.
import {spawn} from 'node:child_process'
import {join} from 'node:path'
import {parseArgs} from 'node:util'
import {ensurePython} from './ensure-python.js'
import {ROOT, run, say} from './run-step.js'

const WORKER = join(ROOT, 'gpu-scripts')
const JEST = ['node', '--experimental-vm-modules', '--disable-warning=ExperimentalWarning']

const {positionals, values} = parseArgs({
  allowPositionals: true,
  options: {
    seconds: {default: '60', type: 'string'},
    seed: {default: String(Date.now() % 1_000_000_007), type: 'string'},
  },
})
const {seconds, seed} = values
const wanted = positionals.map((name) => /^(cli|worker)\/([a-z0-9-]+)$/.exec(name))

process.exitCode = await main()

async function main() {
  if (wanted.includes(null) || !/^\d+$/.test(seconds) || !/^\d+$/.test(seed)) {
    process.stderr.write('npm run fuzz -- [--seconds 60] [--seed 1] [cli/NAME | worker/NAME …]\n')
    return 2
  }
  const outcomes = []
  if (positionals.length === 0) outcomes.push(await huntInCli())
  for (const [, side, name] of wanted) if (side === 'cli') outcomes.push(await huntInCli(name))
  if (positionals.length === 0 || wanted.some(([, side]) => side === 'worker'))
    outcomes.push(await huntInWorker())
  return outcomes.every(Boolean) ? 0 : 1
}

async function huntInCli(name) {
  say(`cli/${name ?? '*'}, ${seconds} s each, seed ${seed}`)
  const target = name === undefined ? {} : {DUMONT_FUZZ_TARGET: name}
  const env = {DUMONT_FUZZ_SECONDS: seconds, DUMONT_FUZZ_SEED: seed, ...target}
  const jest = [...JEST, 'node_modules/jest/bin/jest.js', '--silent=false', 'test/fuzz']
  return (await run(jest, {env, minutes: 24 * 60})).code === 0
}

async function huntInWorker() {
  const python = await ensurePython(join(ROOT, '.venv'), ['-r', 'gpu-scripts/requirements/dev.txt'])
  if (python === undefined) return false
  const pip = [python, '-m', 'pip', 'install', '--quiet', '--only-binary=:all:']
  const {code} = await run([...pip, '-r', 'gpu-scripts/requirements/fuzz.txt'])
  const has = await run([python, '-c', 'import atheris'], {capture: true})
  if (code !== 0 || has.code !== 0)
    process.stderr.write(
      'atheris cannot be installed for this Python: the worker is fuzzed without coverage. ' +
        'With Python 3.11 to 3.13 in .venv it can.\n',
    )
  const {stdout} = await run([python, '-m', 'fuzz'], {capture: true, cwd: WORKER})
  const all = stdout.trim().split('\n')
  const names = wanted.flatMap(([, side, name]) => (side === 'worker' ? [name] : []))
  let isClean = true
  for (const name of names.length === 0 ? all : names)
    isClean = (await huntIn(python, name)) && isClean
  return isClean
}

/** libFuzzer talks at length; its number of runs is told, and all of its end when something was found. */
function huntIn(python, name) {
  say(`worker/${name}, ${seconds} s, seed ${seed}`)
  const child = spawn(python, ['-m', 'fuzz', name, seconds, seed], {
    cwd: WORKER,
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  let text = ''
  child.stderr.setEncoding('utf8').on('data', (more) => {
    text = (text + more).slice(-20_000)
  })
  return new Promise((resolve) => {
    child.once('close', (code) => {
      const runs = /number_of_executed_units: (\d+)/.exec(text)?.[1]
      const peak = /peak_rss_mb: +(\d+)/.exec(text)?.[1]
      process.stderr.write(code === 0 && runs ? `${name}: ${runs} runs, ${peak} MiB\n` : text)
      resolve(code === 0)
    })
  })
}
