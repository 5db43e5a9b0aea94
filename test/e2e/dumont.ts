import {type ChildProcess, spawn} from 'node:child_process'
import {mkdirSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** What `--json` of create and restore promises, and the parts of an error. */
export interface Answer {
  readonly id: string
  readonly lineage: string
  readonly files: number
  readonly rawBytes: number
  readonly newBytes: number
  readonly storedBytes: number
  readonly seconds: number
  readonly warnings: unknown
  /** Of create. */
  readonly leftOut?: Readonly<Record<string, {readonly count: number; readonly bytes: number}>>
  readonly error?: {readonly code: string; readonly hint?: string; readonly message: string}
}

export interface Outcome {
  /** Null when the process was ended by a signal. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  readonly milliseconds: number
}

export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Outcome>
  /** Resolves when stdout so far matches; rejects when the process ends before. */
  printed(pattern: RegExp): Promise<void>
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Home of the operator, and of the box with `--host local`. */
  readonly home?: string
  /** A program that runs the command with its own arguments before it, such as `unshare`. */
  readonly through?: readonly string[]
}

/** Two minutes: a hang must end the run, not the patience of whoever waits for it. */
const LIMIT_MS = 120_000

/** One home for all runs with `--host local`, so that the native helpers are installed once. */
export function sharedHome(): string {
  const home = join(ROOT, '.cache/e2e-home')
  mkdirSync(home, {recursive: true})
  return home
}

/** Runs the built command as a user would, with nothing of this process's own configuration. */
export function startDumont(argv: readonly string[], surroundings: Surroundings = {}): Running {
  const {cwd = ROOT, env = {}, home = sharedHome(), through = []} = surroundings
  const started = performance.now()
  const [program = '', ...words] = [...through, process.execPath, join(ROOT, 'bin/run.js'), ...argv]
  const child = spawn(program, words, {
    cwd,
    env: {...cleanEnvironment(), ...memoryOf(home), HOME: home, ...env},
    killSignal: 'SIGKILL',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<Outcome>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) =>
      resolve({code, milliseconds: performance.now() - started, stderr, stdout}),
    )
  })
  const printed = (pattern: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (pattern.test(stdout)) resolve()
      }
      child.stdout.on('data', look)
      look()
      void ended.then(() => reject(new Error(`ended before ${String(pattern)}: ${stderr}`)))
    })
  return {child, ended, printed}
}

export function dumont(argv: readonly string[], surroundings?: Surroundings): Promise<Outcome> {
  return startDumont(argv, surroundings).ended
}

/** Runs a command with `--json` and returns its one document and its exit code. */
export async function answered(
  argv: readonly string[],
  surroundings?: Surroundings,
): Promise<Answer & {readonly code: number | null}> {
  const outcome = await dumont([...argv, '--json'], surroundings)
  try {
    return {...(JSON.parse(outcome.stdout) as Answer), code: outcome.code}
  } catch (error) {
    const shown = `exit ${outcome.code}\n${outcome.stdout}\n${outcome.stderr}`
    throw new Error(`no JSON document from ${argv.join(' ')}: ${shown}`, {cause: error})
  }
}

/** What runs of this process alone remember of the shared home: stores of others had the same address before. */
function memoryOf(home: string): Record<string, string> {
  const own = join(tmpdir(), `dumont-memory-${process.pid}`)
  return home === sharedHome()
    ? {XDG_DATA_HOME: join(own, 'share'), XDG_STATE_HOME: join(own, 'state')}
    : {}
}

export function cleanEnvironment(): Record<string, string | undefined> {
  const ours = /^(?:AWS_|DUMONT_|JEST_|NODE_|SSH_|XDG_|DEBUG$)/u
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)))
}
