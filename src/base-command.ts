import {setMaxListeners} from 'node:events'
import {Command, Errors, Flags} from '@oclif/core'
import {DumontError, EXIT, exitCodeOf, isDumontError} from './lib/errors.js'
import {processEnvironment} from './lib/settings/environment.js'

interface CommandFailure extends Error {
  readonly oclif?: {readonly exit?: number | false}
  readonly exitCode?: number
}

/** After Ctrl-C both sides get this long to end in order; then the process ends anyway. */
const GRACE_MS = 1900

/** Flags, signals, JSON and exit codes that all commands share. */
export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true

  static override baseFlags = {
    'json-stream': Flags.boolean({
      default: false,
      helpGroup: 'GLOBAL',
      summary: 'Events as JSON lines on stdout; the result is the last line.',
    }),
    quiet: Flags.boolean({
      default: false,
      char: 'q',
      helpGroup: 'GLOBAL',
      summary: 'No progress and no notes, only the result and errors.',
    }),
  }

  private readonly interruption = new AbortController()
  private readonly interrupt = (): void => {
    if (this.interruption.signal.aborted) process.exit(EXIT.interrupted)
    this.interruption.abort(
      new DumontError('INTERRUPTED', 'interrupted', {
        hint: 'run the same command again: it continues where it was',
      }),
    )
    setTimeout(() => process.exit(EXIT.interrupted), GRACE_MS).unref()
  }

  /** Aborted by SIGINT, SIGTERM and SIGHUP with the error to report. */
  get signal(): AbortSignal {
    return this.interruption.signal
  }

  /** The result on stdout, and exit code 3 when it is not all that was asked for. */
  protected finish(text: string, incomplete: boolean): void {
    if (!this.jsonEnabled()) this.log(text)
    if (incomplete) process.exitCode = EXIT.incomplete
  }

  get isStream(): boolean {
    return this.argv.includes('--json-stream')
  }

  get isQuiet(): boolean {
    return this.argv.includes('--quiet') || this.argv.includes('-q')
  }

  /** One line of the story on stderr; stdout is for results. */
  say(text: string): void {
    if (!this.isQuiet && !this.jsonEnabled()) process.stderr.write(`${text}\n`)
  }

  override jsonEnabled(): boolean {
    return this.isStream || super.jsonEnabled()
  }

  protected override async init(): Promise<void> {
    await super.init()
    // Everything that waits listens to it, and parts and packs wait by the dozen.
    setMaxListeners(0, this.signal)
    for (const name of SIGNALS) process.on(name, this.interrupt)
  }

  protected override async finally(failure: Error | undefined): Promise<void> {
    for (const name of SIGNALS) process.off(name, this.interrupt)
    await super.finally(failure)
  }

  /** oclif exits 1 for every failure under --json; the code is the same with and without it here. */
  protected override async catch(error: CommandFailure): Promise<unknown> {
    const cause = this.signal.aborted ? this.signal.reason : error
    const exit =
      typeof error.oclif?.exit === 'number' && !this.signal.aborted
        ? error.oclif.exit
        : exitCodeOf(cause)
    process.exitCode = exit
    if (processEnvironment()['DEBUG']?.startsWith('dumont')) this.logToStderr(String(error.stack))
    if (this.jsonEnabled()) {
      this.logJson(this.toErrorJson(cause))
      return undefined
    }
    if (error.oclif !== undefined && !this.signal.aborted) throw error
    throw presentable(cause, exit)
  }

  override logJson(json: unknown): void {
    if (!this.isStream) super.logJson(json)
    else process.stdout.write(`${JSON.stringify(streamed(json))}\n`)
  }

  protected override toErrorJson(error: unknown): unknown {
    if (isDumontError(error)) {
      const {code, hint, message, retry} = error
      return {error: {code, message, ...(hint === undefined ? {} : {hint}), retry}}
    }
    const failure = error as CommandFailure
    const code = failure.oclif === undefined ? 'BUG' : 'USAGE'
    return {error: {code, message: failure.message, retry: 'never'}}
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

function streamed(json: unknown): object {
  const failed =
    typeof json === 'object' && json !== null && 'error' in json && Object.keys(json).length === 1
  return failed ? {type: 'error', ...json} : {type: 'result', result: json}
}

/** oclif prints a CLIError with its remedy and without a stack. */
function presentable(error: unknown, exit: number): Error {
  if (isDumontError(error)) {
    const suggestions = error.hint === undefined ? {} : {suggestions: [error.hint]}
    return new Errors.CLIError(error.message, {exit, ...suggestions})
  }
  const message = error instanceof Error ? error.message : String(error)
  return new Errors.CLIError(`this is a bug in dumont: ${message}`, {
    exit,
    suggestions: ['run it again with DEBUG=dumont and report what it prints'],
  })
}
