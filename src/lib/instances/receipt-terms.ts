import type {VerifyLevel} from '../snapshots/verify-snapshot.js'
import type {StoreService} from '../snapshots/service.js'
import type {DestroyProof} from '../providers/destroy-proof.js'
import type {Instance, Provider} from '../providers/provider.js'
import type {Session} from '../remote/session.js'
import type {BoxIdentity} from './box-identity.js'
import type {CensusPath} from './census-finding.js'

/** What a receipt proves one by one; a refusal names the one that failed. */
export type Rule =
  | 'census'
  | 'disk'
  | 'endurance'
  | 'identity'
  | 'keys'
  | 'packs'
  | 'stillness'
  | 'torn'
  | 'way-back'

/** Who saw it: `box` means asserted by the box's own tools, which dumont cannot check from outside. */
export type Witness = 'box' | 'operator' | 'vendor'

/** One thing that was checked and held, with figures; figures named `…Bytes` are bytes. */
export interface Check {
  readonly rule: Rule
  readonly by: Witness
  readonly what: string
  readonly figures: Readonly<Record<string, number>>
  /** What an operator should see although nothing failed: noise by reason, discarded paths, surviving mounts. */
  readonly paths?: readonly CensusPath[]
}

/** Why there is no receipt, and what would give one. Paths are for showing; `bytes` is what would be lost. */
export interface Refusal {
  readonly rule: Rule
  readonly message: string
  readonly remedy: string
  readonly paths?: readonly CensusPath[]
  readonly bytes?: number
}

/** The state of the disk that a receipt speaks of. */
export interface Watched {
  /** When the proof began, in seconds by the box's clock. */
  readonly since: number
  /** Latin-1 text. */
  readonly roots: readonly string[]
  readonly survives: readonly string[]
}

/** The proof that all that is on an instance is in the store, or was given up by name. */
export interface Receipt {
  readonly proof: DestroyProof
  readonly snapshotId: string
  /** SHA-256 of the manifest's bytes. */
  readonly manifestSha256: string
  readonly instance: DestroyProof['instance']
  readonly bootId: string
  readonly identity: BoxIdentity
  readonly repositoryId: string
  readonly storeUrl: string
  /** What nobody may have changed since: looked at again right before the end. */
  readonly watched: Watched
  /** For showing. */
  readonly roots: readonly string[]
  /** Milliseconds since the epoch. */
  readonly issuedAt: number
  /** Ten minutes after `issuedAt`. */
  readonly expiresAt: number
  /** Given up by name with `--discard`. */
  readonly discarded: readonly string[]
  readonly checks: readonly Check[]
}

export type ReceiptService = Pick<
  StoreService,
  'clock' | 'coldUnlock' | 'random' | 'report' | 'store'
>

/** The instance and the connection that claims to lead to it. */
export interface BoxConnection {
  readonly session: Session
  readonly provider: Provider
  /** As the vendor told it before the scan. */
  readonly instance: Instance
  /** The vendor's word for whose it is, from `whoami` before the scan. */
  readonly account: string
  /** Where the session was opened to, without any jump; it proves identity where the vendor's address is the machine's own. */
  readonly address?: {readonly host: string; readonly port: number}
}

export interface ReceiptRequest extends BoxConnection {
  readonly snapshotId: string
  /** From `identifyBox`, before the snapshot. */
  readonly before: BoxIdentity
  readonly level: VerifyLevel
  /** Share of the snapshot that is read back, above 0 up to 1. */
  readonly sample: number
  /** Most bytes read back in all; default 1 GiB. */
  readonly sampleBytes?: number
  /** Absolute paths on the box that may be lost. */
  readonly discard: readonly string[]
  /** Mount points the vendor keeps when the instance ends. */
  readonly survives: readonly string[]
  /** Whether this very command named the store; a directory needs it. */
  readonly storeNamed: boolean
  /** A setting: lifecycle rules that the credentials may not read are known to be harmless. */
  readonly lifecycleAcknowledged: boolean
  /** Accepts a snapshot that only an NVIDIA GPU decodes. */
  readonly acceptGpuOnly: boolean
}

export type ReceiptOutcome =
  | {readonly kind: 'proven'; readonly receipt: Receipt}
  | {readonly kind: 'refused'; readonly refusals: readonly Refusal[]}
