import {randomBytes} from 'node:crypto'
import {resolve} from 'node:path'
import type {BaseCommand} from './base-command.js'
import type {Beginning, KeyPlace} from './lib/keys/open-keyed.js'
import type {RecoveryKeeping} from './lib/keys/recovery.js'
import {DumontError} from './lib/errors.js'
import type {Settings} from './lib/settings/load-settings.js'
import type {View} from './ui/view.js'

export type Asking = Pick<View, 'report' | 'whileAsking'>

/** Whether somebody is there to be asked. */
export function canAsk(command: BaseCommand): boolean {
  return process.stdin.isTTY && process.stderr.isTTY && !command.jsonEnabled()
}

/** Where the keys of a store come from: what was set, files of this machine, and whoever sits at the terminal. */
export function keyPlace(
  command: BaseCommand,
  settings: Pick<Settings, 'directories' | 'keys' | 'store'>,
  view: Asking,
): KeyPlace {
  const {encryption: _, encryptionAsked: __, ...named} = settings.keys
  return {
    location: settings.store,
    notice: (message) => view.report({kind: 'note', message}),
    random: randomBytes,
    stateDir: settings.directories.state,
    sources: {
      ...named,
      directory: resolve(settings.directories.data, 'keys'),
      ...(canAsk(command) && {
        ask: async (slots, attempt) => {
          const {askKey} = await import('./ui/key-questions.js')
          return view.whileAsking(() => askKey(slots, attempt, command.signal))
        },
      }),
    },
  }
}

/** What the flags of a command that may make a store say of it. */
export function beginningOf(
  command: BaseCommand,
  flags: Readonly<Record<string, unknown>>,
  settings: Pick<Settings, 'keys'>,
  view: Asking,
): Beginning {
  const {encryption = true, encryptionAsked} = settings.keys
  const recovery = recoveryKeeping(command, flags, view)
  return {encryption, isAsked: encryptionAsked, ...(recovery && {recovery})}
}

/** Where a recovery text goes: into the file that was named, else onto the terminal; undefined where there is neither. */
export function recoveryKeeping(
  command: BaseCommand,
  flags: Readonly<Record<string, unknown>>,
  view: Pick<View, 'whileAsking'>,
): RecoveryKeeping | undefined {
  const file = flags['recovery-file']
  if (typeof file === 'string') {
    if (file === '') throw new DumontError('USAGE', '--recovery-file names no file')
    return {file: resolve(file)}
  }
  if (!canAsk(command)) return undefined
  return {
    confirm: async (groups) => {
      const {confirmRecovery} = await import('./ui/key-questions.js')
      return view.whileAsking(() => confirmRecovery(groups, command.signal))
    },
  }
}

/** Everything on this machine that opens the store, or may. */
export function keyPathsOf(
  {directories, keys: {keyFile, passphraseFile}}: Pick<Settings, 'directories' | 'keys'>,
  flags: Readonly<Record<string, unknown>>,
): readonly string[] {
  const recovery = flags['recovery-file']
  const named = [keyFile?.path, passphraseFile?.path, recovery]
  return [resolve(directories.data, 'keys'), ...named.flatMap(pathOf)]
}

function pathOf(name: unknown): readonly string[] {
  return typeof name === 'string' && name !== '' ? [resolve(name)] : []
}
