import {mkdir} from 'node:fs/promises'
import {dirname} from 'node:path'
import {readKnownHosts} from './known-hosts-file.js'
import {matchesName} from './known-hosts.js'
import type {SshTarget} from './ssh-target.js'

/** A known_hosts file for one rented machine: addresses of vendors are given out again, so ~/.ssh says little about them. */
export interface PinnedKeys {
  /** Absolute; made when missing. */
  readonly file: string
  /** The machine is new: what ~/.ssh knows of its address is about another. */
  readonly isNew: boolean
}

/**
 * The target with the keys of its own file alone. A machine that has none there yet is held to ~/.ssh as well unless it is new;
 * a key that is nowhere is taken and written there.
 */
export async function pinnedTarget(
  target: SshTarget,
  {file, isNew}: PinnedKeys,
): Promise<SshTarget> {
  await mkdir(dirname(file), {mode: 0o700, recursive: true})
  const isPinned = (await readKnownHosts([file])).some((entry) =>
    matchesName(entry, target.keyName),
  )
  const {system, user} = target.knownHosts
  const others = isPinned || isNew ? {system: [], user: []} : {system, user}
  return {
    ...target,
    knownHosts: {acceptNew: true, system: others.system, user: [file, ...others.user]},
  }
}
