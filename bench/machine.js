import {readFileSync} from 'node:fs'
import {cpus, loadavg, release, totalmem} from 'node:os'
import {run} from '../scripts/run-step.js'

/** What a figure has to be read with: machine, versions, commit, and how busy it was. */
export async function describeMachine(python) {
  const changes = await said(['git', 'status', '--porcelain', '--', 'src', 'gpu-scripts', 'bin'])
  return {
    commit: await said(['git', 'rev-parse', '--short', 'HEAD']),
    commitIsExact: changes === '',
    cores: cpus().length,
    cpu: cpus()[0]?.model ?? 'unknown',
    date: new Date().toISOString(),
    kernel: release(),
    load: loadavg()[0],
    memoryGiB: totalmem() / 2 ** 30,
    node: process.version,
    python: await said([python, '-c', 'import platform; print(platform.python_version())']),
    system: systemName(),
  }
}

function systemName() {
  try {
    return /^PRETTY_NAME="(?<name>[^"]*)"/m.exec(readFileSync('/etc/os-release', 'utf8'))?.groups
      ?.name
  } catch {
    return process.platform
  }
}

async function said(argv) {
  return (await run(argv, {capture: true, minutes: 1})).stdout.trim()
}
