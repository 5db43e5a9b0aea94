// `node scripts/lock-wheels.js [index-url]`: writes gpu-scripts/requirements/*.txt, the wheels a box may get, one file for
// each Python, machine and set. Run by hand when a version below changes; the result is reviewed and committed.
import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'

const INDEX = process.argv[2] ?? 'https://pypi.org/simple'
const OUT = join(import.meta.dirname, '..', 'gpu-scripts', 'requirements')
const PYTHONS = ['cp310', 'cp311', 'cp312', 'cp313', 'cp314']
const MACHINES = ['x86_64', 'aarch64']

// blake3 and numpy dropped Python 3.10; the standard library has zstd from 3.14 on.
const SETS = {
  native: (python) => [
    ...(python === 'cp314' ? [] : ['backports.zstd==1.8.0']),
    python === 'cp310' ? 'blake3==1.0.10' : 'blake3==1.0.11',
    'pyfastcdc==0.3.1',
    'typing-extensions==4.16.0',
  ],
  numpy: (python) => [python === 'cp310' ? 'numpy==2.2.6' : 'numpy==2.4.6'],
  // Of cffi only its compiled module is used, which needs no pycparser.
  seal: () => ['cffi==2.1.1', 'cryptography==50.0.2'],
}

// One wheel holds the modules of every Python. Another version may write another format: see docs/decisions/0008-nvcomp.md.
const NVCOMP = ['nvidia-nvcomp-cu12==6.0.0.12', 'nvidia-libnvcomp-cu12==6.0.0.12']

const listings = new Map()
for (const machine of MACHINES) await lock('nvcomp', NVCOMP, ['py3', machine])
for (const [set, requirementsFor] of Object.entries(SETS)) {
  for (const python of PYTHONS) {
    for (const machine of MACHINES) {
      await lock(`${set}-${python}`, requirementsFor(python), [python, machine])
    }
  }
}

async function lock(name, requirements, [python, machine]) {
  const lines = await Promise.all(requirements.map((one) => lockOne(one, python, machine)))
  await writeFile(join(OUT, `${name}-${machine}.txt`), lines.join(''))
}

async function lockOne(requirement, python, machine) {
  const [name, version] = requirement.split('==')
  const wheels = (await listing(name)).filter((file) =>
    fits(file.filename, {machine, name, python, version}),
  )
  const [wheel, other] = wheels.toSorted((a, b) => rank(b.filename) - rank(a.filename))
  if (wheel === undefined || (other && rank(wheel.filename) === rank(other.filename)))
    throw new Error(`${requirement} has ${wheels.length} wheels for ${python} on ${machine}`)
  return `${requirement} --hash=sha256:${wheel.hashes.sha256}\n`
}

function fits(filename, {machine, name, python, version}) {
  const [distribution, found, tag, abi, platform] = filename.replace(/\.whl$/, '').split('-')
  if (!filename.endsWith('.whl') || found !== version || normal(distribution) !== normal(name))
    return false
  if (platform === 'any') return tag === 'py3' && abi === 'none'
  const isMade =
    abi === 'abi3' && python !== 'py3'
      ? minor(tag) <= minor(python)
      : tag === python && abi === (python === 'py3' ? 'none' : python)
  return isMade && platform.startsWith('manylinux') && platform.endsWith(machine)
}

/** Higher for a newer Python's, and among those for the oldest libc: most boxes can use it. */
function rank(filename) {
  const [, , tag, , platform] = filename.split('-')
  const glibc = [...platform.matchAll(/manylinux_2_(\d+)/g)].map(([, number]) => Number(number))
  return 1000 * minor(tag) - Math.min(99, ...glibc)
}

function minor(tag) {
  return Number(/^cp3(\d+)$/.exec(tag)?.[1] ?? 0)
}

function normal(name) {
  return name.toLowerCase().replaceAll(/[-_.]+/g, '-')
}

function listing(name) {
  if (!listings.has(name)) listings.set(name, fetchListing(name))
  return listings.get(name)
}

async function fetchListing(name) {
  const headers = {accept: 'application/vnd.pypi.simple.v1+json'}
  const response = await fetch(`${INDEX}/${normal(name)}/`, {headers})
  if (!response.ok) throw new Error(`${name}: the index answers ${response.status}`)
  return (await response.json()).files
}
