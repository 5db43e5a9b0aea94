import type {Clock} from '../clock.js'
import type {HostKeyPolicy} from './host-key-policy.js'
import type {SshLibrary} from './ssh-library.js'

/** What opening an SSH session needs from outside. */
export interface SshDependencies {
  readonly hostKeyPolicy: HostKeyPolicy
  /** Asks the passphrase of a key file; undefined leaves the key out. Absent where nobody can answer. */
  readonly askPassphrase?: (file: string) => Promise<string | undefined>
  /** Passphrases given so far in this run, so that further connections need not ask again. */
  readonly passphrases?: Map<string, string>
  readonly clock: Clock
  readonly notice: (text: string) => void
  readonly timings?: SshTimings
}

export interface SshTimings {
  /** From dialling to an authenticated session, without the time a person needs to answer. */
  readonly readyMs: number
  /** A peer that answers none of `keepaliveCount` probes in a row is lost. */
  readonly keepaliveMs: number
  readonly keepaliveCount: number
  /** How long a polite end may take before the socket is dropped. */
  readonly closeMs: number
}

export const DEFAULT_TIMINGS: SshTimings = {
  closeMs: 2000,
  keepaliveCount: 3,
  keepaliveMs: 10_000,
  readyMs: 20_000,
}

export type ConnectContext = SshDependencies & {readonly library: SshLibrary}
