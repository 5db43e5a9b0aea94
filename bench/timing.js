import {closeSync, openSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {ROOT, run} from '../scripts/run-step.js'
import {busySeconds, untilCalm} from './calm.js'
import {BenchFailed} from './data.js'

const MEASURE = join(ROOT, 'bench/measure.py')
const LIMIT_MS = 20 * 60_000

/** Whether this user may empty the page cache; where not, everything is measured warm and said so. */
export function canEmptyCaches() {
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '1')
    return true
  } catch {
    return false
  }
}

/** Writes back what is dirty and forgets what was read: programs, too, start from the disk. */
export async function emptyCaches() {
  await run(['sync'], {capture: true})
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '3')
  } catch {
    // Not root: said once, at the start.
  }
}

/**
 * Runs one step of a tool with cold caches, once the machine has been calm for a moment. `others` are the CPU seconds that
 * went elsewhere meanwhile: to the kernel on its own account, or to programs that disturb the measurement.
 *
 * @param {{argv: string[], cwd?: string, env: Record<string, string>, mayFail?: boolean}} command
 * @param {{python: string, server: object, work: string, memory: boolean}} bench
 * @returns {Promise<{wall: number, cpu: number, server: number, others: number, requests: number, stdout: string, peakBytes?: number,
 *   connections?: number, processes?: number}>}
 */
export async function timed(command, {memory, python, server, work}) {
  await emptyCaches()
  await untilCalm()
  const out = join(work, 'step.time')
  const stdout = join(work, 'step.stdout')
  const stderr = join(work, 'step.stderr')
  const flags = [...(memory ? ['--memory', '--port', String(server.port)] : []), '--out', out]
  const before = {busy: busySeconds(), cpu: server.cpuSeconds(), requests: server.requests()}
  const code = await spawned([python, MEASURE, ...flags, '--', ...command.argv], {
    ...command,
    files: [stdout, stderr],
  })
  if (code !== 0 && !command.mayFail) {
    const said = [stdout, stderr].map((file) => readFileSync(file, 'utf8').slice(-2000)).join('\n')
    throw new BenchFailed(`ended with status ${code}: ${command.argv.join(' ')}\n${said}`)
  }
  const busy = busySeconds()
  const serverSeconds = server.cpuSeconds() - before.cpu
  const {system, user, ...measured} = JSON.parse(readFileSync(out, 'utf8'))
  return {
    ...measured,
    cpu: user + system,
    others: Math.max(0, busy - before.busy - user - system - serverSeconds),
    requests: server.requests() - before.requests,
    server: serverSeconds,
    stdout: readFileSync(stdout, 'utf8'),
  }
}

async function spawned([program, ...args], {cwd = ROOT, env, files}) {
  const handles = files.map((file) => openSync(file, 'w'))
  const child = spawn(program, args, {
    cwd,
    env: {...process.env, ...env},
    stdio: ['ignore', ...handles],
    timeout: LIMIT_MS,
  })
  for (const handle of handles) closeSync(handle)
  const [code] = await once(child, 'exit')
  return code ?? 128
}
