import {spawn} from 'node:child_process'
import {dirname} from 'node:path'
import {fileURLToPath} from 'node:url'

/** The checkout, without a trailing slash. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))

const MINUTE = 60_000
const running = new Set()

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    for (const stop of running) stop()
    process.exit(130)
  })
}

/** Prints a heading on stderr, so that the output below it can be told apart. */
export function say(text) {
  process.stderr.write(`\n== ${text}\n`)
}

/**
 * Runs a program to its end, its output passed through or, with `capture`, returned.
 * Resolves with {code, stdout}; a program that cannot be started, or is cut off by the time-out (minutes), has the code
 * 127 or 124.
 *
 * @param {string[]} argv
 * @param {{cwd?: string, env?: Record<string, string>, minutes?: number, capture?: boolean, stderr?: 'ignore' | 'inherit'}} options
 * @returns {Promise<{code: number, stdout: string}>}
 */
export function run(argv, {cwd = ROOT, env = {}, minutes = 10, capture = false, stderr} = {}) {
  if (!capture) process.stderr.write(`$ ${argv.join(' ')}\n`)
  return new Promise((resolve) => {
    const [program, ...args] = argv
    // A group of its own, so that a time-out or ctrl-C also ends what the program started.
    const child = spawn(program, args, {
      cwd,
      detached: true,
      env: {...process.env, OCLIF_SKIP_NEW_VERSION_CHECK: 'true', ...env},
      stdio: ['ignore', capture ? 'pipe' : 'inherit', stderr ?? (capture ? 'ignore' : 'inherit')],
    })
    let stdout = ''
    let late = false
    const stop = () => killGroup(child.pid)
    const timer = setTimeout(() => {
      late = true
      process.stderr.write(`${program}: still running after ${minutes} minutes, stopped\n`)
      stop()
    }, minutes * MINUTE)
    running.add(stop)
    child.stdout?.setEncoding('utf8').on('data', (text) => {
      stdout += text
    })
    const settle = (code) => {
      clearTimeout(timer)
      running.delete(stop)
      resolve({code: late ? 124 : code, stdout})
    }
    child.once('error', () => settle(127))
    child.once('close', (code) => settle(code ?? 128))
  })
}

function killGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Ended between the two.
  }
}
