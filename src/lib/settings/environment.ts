/** Environment variables by name; passed in everywhere, so that tests need not change the process. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The only place where the process's environment is read. */
export function processEnvironment(): Environment {
  return process.env
}
