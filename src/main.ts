import {execute, settings} from '@oclif/core'

/** Runs the command line of this process. */
export async function main(): Promise<void> {
  // Else NODE_ENV=development or test, which operators do set, would make oclif look for TypeScript sources.
  settings.enableAutoTranspile = false
  await execute({dir: import.meta.url})
}
