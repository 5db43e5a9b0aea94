import {setMaxListeners} from 'node:events'
import {Command, Errors, Flags} from '@oclif/core'
import {DumontError, EXIT, exitCodeOf, isDumontError} from './lib/errors.js'
import {processEnvironment} from './lib/settings/environment.js'
import {describeFailure} from './ui/describe-failure.js'
import {usageError} from './usage-error.js'

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
    setTimeout(() => {
      // Something does not end in order; what is to be said is said all the same.
      this.tell(this.signal.reason)
      process.exit(EXIT.interrupted)
    }, this.graceMs).unref()
  }

  /** How long an interrupted command may take to put things in order. */
  protected graceMs = GRACE_MS

  /** Aborted by SIGINT, SIGTERM and SIGHUP with the error to report. */
  get signal(): AbortSignal {
    return this.interruption.signal
  }

  /** The result on stdout, and exit code 3 when it is not all that was asked for. */
  protected finish(text: string, incomplete: boolean): void {
    if (!this.jsonEnabled() && text !== '') this.log(text)
    if (incomplete) process.exitCode = EXIT.incomplete
  }

  get isStream(): boolean {
    return this.words.includes('--json-stream')
  }

  get isQuiet(): boolean {
    return this.words.some((word) => word === '--quiet' || /^-[A-Za-z]*q/u.test(word))
  }

  /** One line of the story on stderr; stdout is for results. */
  say(text: string): void {
    if (!this.isQuiet) this.warnOf(text)
  }

  /** One line on stderr that --quiet does not keep back. */
  warnOf(text: string): void {
    if (!this.jsonEnabled()) process.stderr.write(`${text}\n`)
  }

  /** What may be flags: also read before, and after a failure of, parsing. */
  private get words(): readonly string[] {
    const end = this.argv.indexOf('--')
    return end < 0 ? this.argv : this.argv.slice(0, end)
  }

  override jsonEnabled(): boolean {
    return this.isStream || super.jsonEnabled()
  }

  protected override async init(): Promise<void> {
    await super.init()
    // Everything that waits listens to it, and parts and packs wait by the dozen.
    setMaxListeners(0, this.signal)
    for (const name of SIGNALS) process.removeAllListeners(name).on(name, this.interrupt)
  }

  protected override async finally(failure: Error | undefined): Promise<void> {
    for (const name of SIGNALS) process.off(name, this.interrupt)
    await super.finally(failure)
  }

  /** oclif exits 1 for every failure under --json; the code is the same with and without it here. */
  protected override async catch(error: CommandFailure): Promise<unknown> {
    const cause = this.causeOf(error)
    const exit = exitCodeOf(cause)
    process.exitCode = exit
    if (processEnvironment()['DEBUG']?.startsWith('dumont')) this.logToStderr(String(error.stack))
    this.tell(cause)
    if (this.jsonEnabled()) return undefined
    // Ends the process although connections may still be closing.
    throw new Errors.ExitError(exit)
  }

  private tell(cause: unknown): void {
    if (this.jsonEnabled()) this.logJson(this.toErrorJson(cause))
    else process.stderr.write(describeFailure(presentable(cause)))
  }

  private causeOf(error: CommandFailure): unknown {
    // What was interrupted may know best what it leaves behind.
    if (this.signal.aborted)
      return isDumontError(error) && error.code === 'INTERRUPTED' ? error : this.signal.reason
    if (error.oclif === undefined) return error
    const command = `${this.config.bin} ${(this.id ?? '').replaceAll(':', ' ')}`
    return usageError(error, {
      command,
      flags: Object.keys({...this.ctor.baseFlags, ...this.ctor.flags, json: true}),
    })
  }

  override logJson(json: unknown): void {
    // Not oclif's own: it takes the text apart to colour it, which costs seconds for a long list.
    const text = this.isStream ? JSON.stringify(streamed(json)) : JSON.stringify(json, undefined, 2)
    process.stdout.write(`${text}\n`)
  }

  protected override toErrorJson(error: unknown): unknown {
    if (isDumontError(error)) {
      const {code, hint, message, retry} = error
      return {error: {code, message, ...(hint === undefined ? {} : {hint}), retry}}
    }
    return {error: {code: 'BUG', ...presentable(error), retry: 'never'}}
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

function streamed(json: unknown): object {
  const failed =
    typeof json === 'object' && json !== null && 'error' in json && Object.keys(json).length === 1
  return failed ? {type: 'error', ...json} : {type: 'result', result: json}
}

/** What to say of a failure; one that nobody foresaw is a bug. */
function presentable(error: unknown): {readonly message: string; readonly hint?: string} {
  if (isDumontError(error)) {
    const {hint, message} = error
    return {message, ...(hint === undefined ? {} : {hint})}
  }
  const message = error instanceof Error ? error.message : String(error)
  return {
    message: `this is a bug in dumont: ${message}`,
    hint: 'run it again with DEBUG=dumont and report what it prints',
  }
}
