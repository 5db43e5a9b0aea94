/** The worker's `progress` message; any value may go down when an attempt is repeated. */
export interface TransferProgress {
  readonly phase: Phase
  readonly files: number
  /** 0 while the scan is still counting. */
  readonly filesTotal: number
  /** Raw bytes dealt with. */
  readonly raw: number
  readonly rawTotal: number
  /** Bytes after compression. */
  readonly stored: number
  /** Bytes that went over the network. */
  readonly transferred: number
  readonly parts: readonly PartProgress[]
}

export type Phase = 'compare' | 'index' | 'metadata' | 'scan' | 'transfer' | 'verify' | 'write'

/** One busy part: bytes of its present pack, and which attempt this is. */
export type PartProgress = readonly [part: number, done: number, total: number, attempt: number]

/**
 * What a service tells while it works: facts, not text for a terminal. `host` names the box when several
 * work at once. Texts from the box are rendered through `untrusted()` before they get here.
 */
export type ProgressEvent =
  | {
      readonly kind: 'step'
      readonly step: Step
      /** `failed` only where other boxes go on; else the service rejects. */
      readonly state: 'done' | 'failed' | 'started'
      readonly detail?: string
      readonly host?: string
    }
  | {readonly kind: 'transfer'; readonly progress: TransferProgress; readonly host?: string}
  | {
      readonly kind: 'warning'
      readonly code: string
      readonly path?: string
      readonly message: string
      readonly host?: string
    }
  | {readonly kind: 'note'; readonly message: string; readonly host?: string}

/** Steps of the services, in the order in which they happen; views translate them. */
export type Step =
  | 'open-store'
  | 'connect'
  | 'equip'
  | 'transfer'
  | 'verify'
  | 'commit'
  | 'restore'
  | 'repair'
  | 'check-packs'
  | 'remove'
  | InstanceStep

/** Steps of hibernating and waking a whole instance. */
export type InstanceStep =
  | 'reconcile'
  | 'look'
  | 'identify'
  | 'pre-hook'
  | 'still'
  | 'freeze'
  | 'rescan'
  | 'prove'
  | 'record'
  | 'stop'
  | 'destroy'
  | 'confirm-gone'
  | 'post-hook'
  | 'find-offers'
  | 'rent'
  | 'boot'
  | 'reach'
  | 'provision'
  | 'ready-hook'

export type Report = (event: ProgressEvent) => void
