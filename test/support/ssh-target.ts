import {systemClock} from '../../src/lib/clock.js'
import type {SshDependencies} from '../../src/lib/remote/ssh-dependencies.js'
import type {SshTarget} from '../../src/lib/remote/ssh-target.js'

interface Reachable {
  readonly port: number
  readonly user: string
  readonly identityFile?: string
  readonly knownHostsFile: string
}

/** A target on this machine's loopback that leans on nothing of the developer's own. */
export function loopbackTarget(server: Reachable, changes: Partial<SshTarget> = {}): SshTarget {
  const {port, user, identityFile, knownHostsFile} = server
  return {
    host: '127.0.0.1',
    identities: {
      agentSocket: undefined,
      explicit: true,
      files: identityFile === undefined ? [] : [identityFile],
      only: true,
    },
    jumps: [],
    keyName: `[127.0.0.1]:${port}`,
    kind: 'ssh',
    knownHosts: {system: [], user: [knownHostsFile]},
    label: `${user}@127.0.0.1:${port}`,
    port,
    user,
    ...changes,
  }
}

/** Asks nobody, accepts nothing new, and collects what would be said. */
export function quietDependencies(
  changes: Partial<SshDependencies> = {},
): SshDependencies & {notices: string[]} {
  const notices: string[] = []
  return {
    clock: systemClock,
    hostKeyPolicy: {acceptNew: false},
    notice: (text) => notices.push(text),
    notices,
    ...changes,
  }
}
