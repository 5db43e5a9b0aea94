// Everything `npm test` does, on a fresh clone with nothing but Node, npm and Python: fetches what the tests need, runs
// them all, and ends in one line: `N passed, N failed, N skipped`. Uses Node's own modules only.
import {mkdirSync, rmSync} from 'node:fs'
import {join} from 'node:path'
import {build, ensurePackages} from './ensure-packages.js'
import {ensurePython} from './ensure-python.js'
import {ensureServers} from './ensure-servers.js'
import {ROOT, run, say} from './run-step.js'
import {jestCounts, pytestCounts} from './test-counts.js'

const REPORTS = join(ROOT, '.cache/reports')
const WORKER = join(ROOT, 'gpu-scripts')

const total = {failed: 0, passed: 0, skipped: 0}
const complaints = []

process.exitCode = await main()

async function main() {
  rmSync(REPORTS, {force: true, recursive: true})
  mkdirSync(REPORTS, {recursive: true})
  const {missing, path} = await ensureServers()
  const python = await ensurePython(join(ROOT, '.venv'), [
    '-r',
    join(WORKER, 'requirements/dev.txt'),
  ])
  const suites = []
  if (await ensurePackages()) {
    await checkCli()
    suites.push(() => testCli(path))
  } else fail('npm packages: the CLI was not tested')
  if (python === undefined) fail('Python environment: the worker was not tested')
  else {
    await check('worker: lint, format, types', ['npm', 'run', '--silent', 'lint:worker'])
    suites.push(() => testWorker(python, path))
  }
  // Side by side: most tests wait for processes and servers, so that one suite leaves a second core idle.
  say('jest, and pytest beside it')
  await Promise.all(suites.map((suite) => suite()))
  return report(missing)
}

async function checkCli() {
  if (!(await build())) fail('build')
  await check('types', ['npm', 'run', '--silent', 'typecheck'])
  await check('lint and format', ['npm', 'run', '--silent', 'lint'])
}

async function testCli(path) {
  const file = join(REPORTS, 'jest.json')
  const {code} = await run(
    ['npm', 'run', '--silent', 'test:cli', '--', '--ci', '--json', `--outputFile=${file}`],
    {env: {PATH: path}, minutes: 30},
  )
  add('jest', code, jestCounts(file))
}

/** Says what it has to say at its end, for jest speaks at the same time. */
async function testWorker(python, path) {
  const file = join(REPORTS, 'pytest.xml')
  const {code, stdout} = await run([python, '-m', 'pytest', '-rs', `--junitxml=${file}`], {
    capture: true,
    cwd: WORKER,
    env: {PATH: path},
    minutes: 30,
    stderr: 'inherit',
  })
  say('pytest')
  process.stderr.write(stdout)
  add('pytest', code, pytestCounts(file))
}

async function check(name, argv) {
  say(name)
  if ((await run(argv)).code !== 0) fail(name)
}

/** A runner that failed without naming a failed test still counts as one. */
function add(name, code, counts) {
  total.passed += counts.passed
  total.skipped += counts.skipped
  total.failed += counts.failed
  if (counts.failed > 0) complaints.push(`${name}: ${counts.failed} failed`)
  else if (code !== 0) fail(`${name} ended with status ${code}`)
  else if (counts.passed === 0) fail(`${name} ran no test`)
}

function fail(what) {
  total.failed += 1
  complaints.push(what)
}

function report(missing) {
  say('result')
  for (const line of missing) process.stderr.write(`LEFT OUT, because not here: ${line}\n`)
  for (const line of complaints) process.stderr.write(`FAILED: ${line}\n`)
  process.stdout.write(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`)
  return total.failed === 0 ? 0 : 1
}
