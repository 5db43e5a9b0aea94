// `node bench/gpu.js [options of gpu_check.py]`: runs gpu-scripts/gpu_check.py, prints its report and, when a GPU was there,
// writes it to docs/measurements/gpu-<date>.json. Ends as it does.
import {mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {ROOT, run, say} from '../scripts/run-step.js'

const CHECK = join(ROOT, 'gpu-scripts/gpu_check.py')
const FOLDER = join(ROOT, 'docs/measurements')
const NO_GPU = 2

const {code, stdout} = await run(['python3', CHECK, ...process.argv.slice(2)], {
  capture: true,
  minutes: 15,
  stderr: 'inherit',
})
process.stdout.write(stdout)
if (code !== NO_GPU && stdout.trimStart().startsWith('{')) {
  mkdirSync(FOLDER, {recursive: true})
  const file = join(FOLDER, `gpu-${new Date().toISOString().slice(0, 10)}.json`)
  writeFileSync(file, stdout)
  say(`written to ${file}`)
}
process.exitCode = code ?? 1
