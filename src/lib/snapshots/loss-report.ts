import {closeSync, openSync, writeSync} from 'node:fs'
import {DumontError} from '../errors.js'
import type {LostEntry} from './restore-host.js'

/** A file with a JSON line for every entry that did not come back. */
export interface LossReport {
  readonly add: (entry: LostEntry) => void
  readonly close: () => void
}

/** Makes the file, readable by its owner only; rejects TARGET_UNWRITABLE, also when it is there already. */
export function openLossReport(path: string): LossReport {
  const file = attempt(path, () => openSync(path, 'wx', 0o600))
  return {
    // Written at once: an interrupted restore leaves what it knew.
    add: (entry) => void attempt(path, () => writeSync(file, `${JSON.stringify(entry)}\n`)),
    close: () => closeSync(file),
  }
}

function attempt<T>(path: string, act: () => T): T {
  try {
    return act()
  } catch (cause) {
    const {code} = cause as NodeJS.ErrnoException
    throw new DumontError('TARGET_UNWRITABLE', `the report ${path} cannot be written (${code})`, {
      cause,
      hint: 'name a file that is not there yet, in a directory you may write to',
    })
  }
}
