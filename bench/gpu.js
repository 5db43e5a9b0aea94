// `node bench/gpu.js [options of gpu_check.py]`: puts the pinned nvCOMP beside this clone and runs gpu-scripts/gpu_check.py
// with it. Prints its report and, when a GPU was there, writes it to docs/measurements/gpu-<date>.json. Ends as it does.
import {existsSync, mkdirSync, renameSync, writeFileSync} from 'node:fs'
import {arch} from 'node:process'
import {join} from 'node:path'
import {ensurePython} from '../scripts/ensure-python.js'
import {ROOT, run, say} from '../scripts/run-step.js'

const WORKER = join(ROOT, 'gpu-scripts')
const MACHINE = arch === 'arm64' ? 'aarch64' : 'x86_64'
const NO_GPU = 2

process.exitCode = await main()

async function main() {
  const requirements = ['-r', join(WORKER, 'requirements/dev.txt')]
  const python = await ensurePython(join(ROOT, '.venv'), requirements)
  if (python === undefined) return 1
  const nvcomp = await ensureNvcomp(python)
  if (nvcomp === undefined) return 1
  const native = (
    await capture([
      python,
      '-c',
      'import blake3, os; print(os.path.dirname(os.path.dirname(blake3.__file__)))',
    ])
  ).trim()
  const check = [python, join(WORKER, 'gpu_check.py'), '--nvcomp', nvcomp, '--native', native]
  const {code, stdout} = await run([...check, ...process.argv.slice(2)], {
    capture: true,
    minutes: 20,
  })
  process.stdout.write(stdout)
  if (code !== NO_GPU && stdout.trimStart().startsWith('{')) keep(stdout)
  return code ?? 1
}

/** The same directory that the tests of the wheel use. */
async function ensureNvcomp(python) {
  const pins = join(WORKER, 'requirements', `nvcomp-${MACHINE}.txt`)
  const version = (
    await capture([
      python,
      '-c',
      `import sys; sys.path.insert(0, ${JSON.stringify(WORKER)}); from dumont_worker.gpu.requirement import PINNED; print(PINNED)`,
    ])
  ).trim()
  const target = join(ROOT, '.cache', `nvcomp-${version}-${MACHINE}`)
  if (existsSync(target)) return target
  say("NVIDIA's nvCOMP, under NVIDIA's own licence")
  const made = `${target}.${process.pid}`
  const pip = [python, '-m', 'pip', 'install', '--quiet', '--no-deps', '--require-hashes']
  const {code} = await run([...pip, '--only-binary', ':all:', '--target', made, '-r', pins], {
    minutes: 10,
  })
  if (code !== 0) return undefined
  renameSync(made, target)
  return target
}

async function capture(argv) {
  return (await run(argv, {capture: true, minutes: 1})).stdout
}

function keep(report) {
  const folder = join(ROOT, 'docs/measurements')
  mkdirSync(folder, {recursive: true})
  const file = join(folder, `gpu-${new Date().toISOString().slice(0, 10)}.json`)
  writeFileSync(file, report)
  say(`written to ${file}`)
}
