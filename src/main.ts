import {execute, settings} from '@oclif/core'
import {EXIT} from './lib/errors.js'

/** Runs the command line of this process. */
export async function main(): Promise<void> {
  // Else NODE_ENV=development or test, which operators do set, would make oclif look for TypeScript sources.
  settings.enableAutoTranspile = false
  // Before oclif's own, which throws: a full disk is no bug. Who reads no further (`| head`) has what was wanted.
  process.stdout.prependListener('error', ({code}: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') return
    process.stderr.write(`Error: the result cannot be written to stdout (${code ?? 'unknown'})\n`)
    process.exit(EXIT.cannotWrite)
  })
  await execute({dir: import.meta.url})
}
