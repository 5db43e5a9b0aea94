import {mkdirSync} from 'node:fs'
import {delimiter, dirname} from 'node:path'
import {run} from '../../scripts/run-step.js'
import {ACCOUNT} from '../server.js'

/**
 * One thing to run. A tool's `create` and `restore` give one for a place {endpoint, bucket, prefix, workspace, target, home,
 * work} and the number of the step. The workspace and the restored tree are both called `workspace` in their folders, for
 * tools that save relative paths.
 *
 * @typedef {{argv: string[], cwd?: string, env?: Record<string, string>}} Command
 * @typedef {{name: string, version: string, settles?: boolean, isElsewhere?: boolean, cannotOverwrite?: boolean,
 *   prepare?: (place: object) => Command[], create: (place: object, step: number) => Command,
 *   restore: (place: object, step: number) => Command}} Tool
 */

/** Environment of every command of a tool: its own home, the store's account, nothing of the user's. */
export function environmentOf(command, {home, python}) {
  mkdirSync(home, {recursive: true})
  return {
    ...ACCOUNT,
    HOME: home,
    PATH: [dirname(python), process.env.PATH].join(delimiter),
    ...command.env,
  }
}

/** A script for bash that fails when any of its programs fails. */
export function shell(script) {
  return ['bash', '-c', `set -e -o pipefail; ${script}`]
}

/** A word of such a script. */
export function quoted(text) {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}

/** What a program calls its version. */
export async function versionOf(...argv) {
  const {stdout} = await run(argv, {capture: true, minutes: 1})
  return /\d+\.\d+(?:\.\d+)?/.exec(stdout)?.[0] ?? 'of unknown version'
}
