interface Failure {
  readonly message: string
  readonly hint?: string | undefined
}

/** What went wrong and what to do, a line each and never wrapped: a command in it can be copied. */
export function describeFailure({hint, message}: Failure): string {
  return `Error: ${message}\n${hint === undefined ? '' : `Try this: ${hint}\n`}`
}
