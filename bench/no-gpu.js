// `node bench/no-gpu.js [--pairs 5] [--mebibytes 256]`: what `--codec auto` costs a box without a GPU, against plain
// `--codec zstd`: creates in turn, each into a store of its own, CPU and wall seconds of the whole product as ratios.
import {mkdtempSync, readFileSync, rmSync, writeFileSync, mkdirSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {parseArgs} from 'node:util'
import {randomFillSync} from 'node:crypto'
import {ROOT, run} from '../scripts/run-step.js'

const {values} = parseArgs({
  options: {
    mebibytes: {default: '256', type: 'string'},
    pairs: {default: '5', type: 'string'},
  },
})
const folder = mkdtempSync(join(tmpdir(), 'dumont-no-gpu-'))
try {
  process.exitCode = await main()
} finally {
  rmSync(folder, {force: true, recursive: true})
}

async function main() {
  const workspace = join(folder, 'workspace')
  mkdirSync(workspace)
  for (let n = 0; n < Number(values.mebibytes) / 16; n++)
    writeFileSync(join(workspace, `weights-${n}.bin`), weights(16 << 20))
  const rows = []
  // The first two warm caches, and equip this machine.
  for (const codec of ['zstd', 'auto']) await create(codec, 'warm')
  for (let pair = 0; pair < Number(values.pairs); pair++) {
    const order = pair % 2 === 0 ? ['zstd', 'auto'] : ['auto', 'zstd']
    const row = {}
    for (const codec of order) row[codec] = await create(codec, pair)
    rows.push(row)
  }
  const ratios = (of) => rows.map(({auto, zstd}) => of(auto) / of(zstd)).toSorted((a, b) => a - b)
  const seconds = {CPU: ({system, user}) => user + system, wall: ({wall}) => wall}
  for (const [name, of] of Object.entries(seconds)) {
    const sorted = ratios(of)
    const median = sorted[Math.floor(sorted.length / 2)]
    const shown = sorted.map((ratio) => ratio.toFixed(3)).join(' ')
    process.stdout.write(`auto / zstd, ${name}: median ${median.toFixed(3)} of ${shown}\n`)
  }
  return 0
}

/** What one create takes, in seconds. */
async function create(codec, name) {
  const store = join(folder, `store-${codec}-${name}`)
  const out = join(folder, 'out.json')
  const command = [process.execPath, join(ROOT, 'bin/run.js'), 'snapshot', 'create', '--quiet']
  const where = ['--host', 'local', '--store', store, '--codec', codec, join(folder, 'workspace')]
  const measure = ['python3', join(ROOT, 'bench/measure.py'), '--out', out, '--']
  const env = {DUMONT_ENCRYPTION: 'false', HOME: folder}
  const {code} = await run([...measure, ...command, ...where], {capture: true, env, minutes: 5})
  if (code !== 0) throw new Error(`a create with --codec ${codec} ended with ${code}`)
  rmSync(store, {force: true, recursive: true})
  return JSON.parse(readFileSync(out, 'utf8'))
}

/** Looks like bf16: noise below, few exponents above. */
function weights(length) {
  const raw = randomFillSync(Buffer.alloc(length))
  for (let at = 1; at < length; at += 2) raw[at] = 0x38 + (raw[at] & 3)
  return raw
}
