import type {Clock} from '../clock.js'
import type {Report} from '../progress/events.js'
import type {Session} from '../remote/session.js'
import type {Store} from '../store/store.js'
import type {EquippedBox} from '../worker/equip-box.js'
import type {NvcompOptions} from '../worker/equip-nvcomp.js'

/** What every service stands on; the caller opens the store and closes it. */
export interface StoreService {
  readonly store: Store
  readonly clock: Clock
  /** So many random bytes. */
  readonly random: (count: number) => Uint8Array
  /** Directory of the operator's own memory; created when needed. */
  readonly stateDir: string
  readonly report: Report
  /** Directory of what can be had again; nothing is kept there without it. */
  readonly cacheDir?: string
  /** Opens the store again from its key slots and what opens them, forgetting what is unlocked; absent where it has no keys. */
  readonly coldUnlock?: (signal?: AbortSignal) => Promise<ColdUnlock>
}

/** A store that was just opened from its key slots alone. */
export interface ColdUnlock {
  /** Those that can be opened by whoever has their secret; one for recovery means that a text was written down. */
  readonly slots: readonly {readonly kind: 'file' | 'passphrase' | 'recovery'}[]
  readonly store: Store
}

/** What a box was equipped with. */
export type Equipment = Pick<
  EquippedBox,
  'argv' | 'installNvcomp' | 'nvcompMissing' | 'nvcompWheels' | 'running'
>

export type Equip = (session: Session, signal?: AbortSignal) => Promise<Equipment>

/** What services that work on a box need besides. */
export interface BoxService extends StoreService {
  /** Opens a connection to a box, or to this machine for `local`; called again for tunnels. */
  readonly openSession: (host: string, signal?: AbortSignal) => Promise<Session>
  /** Puts the worker onto the box and says how to start it. */
  readonly equip: Equip
  /** The same with nvCOMP; absent where the operator forbids it. */
  readonly equipNvcomp?: (need: NvcompOptions['need']) => Equip
  /** Files and directories of this machine that hold keys: never saved, even where the box is this machine. */
  readonly keyPaths?: readonly string[]
  /** Version of this program, for manifests. */
  readonly version: string
  /** Connections that carry data to a box when the store is behind this machine; default 4. */
  readonly tunnels?: number
}
