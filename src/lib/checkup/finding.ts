import {EXIT, exitCodeOf, isDumontError} from '../errors.js'

/** One thing that was looked at. */
export interface Finding {
  /** What was looked at, in a word or two. */
  readonly what: string
  /** `note`: works, but should be known. */
  readonly state: 'bad' | 'good' | 'note'
  readonly message: string
  /** What to do; every bad finding has one where there is one. */
  readonly remedy?: string
  /** Of the command whose work this would stop. */
  readonly exitCode: number
}

export function good(what: string, message: string): Finding {
  return {exitCode: EXIT.ok, message, state: 'good', what}
}

export function note(what: string, message: string, remedy?: string): Finding {
  return {exitCode: EXIT.ok, message, state: 'note', what, ...(remedy !== undefined && {remedy})}
}

/** What a command would fail with; a bug or an interruption is thrown again. */
export function bad(what: string, error: unknown): Finding {
  if (!isDumontError(error) || error.code === 'INTERRUPTED') throw error
  const {hint, message} = error
  return {
    exitCode: exitCodeOf(error),
    message,
    state: 'bad',
    what,
    ...(hint !== undefined && {remedy: hint}),
  }
}

/** The gravest of the bad findings; 0 when there is none. */
export function exitCodeOfFindings(findings: readonly Finding[]): number {
  return Math.max(EXIT.ok, ...findings.map(({exitCode}) => exitCode))
}
