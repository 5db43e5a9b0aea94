import type {DestroyProof} from './destroy-proof.js'

/** Where an instance is in its life, whatever its vendor calls it. `unknown` is a state that was never seen before. */
export type Phase =
  | 'failed'
  | 'gone'
  | 'interrupted'
  | 'provisioning'
  | 'running'
  | 'starting'
  | 'stopped'
  | 'unknown'
  | 'unreachable'

export interface Capabilities {
  readonly search: boolean
  readonly create: boolean
  readonly stop: boolean
  /** Stopping wipes disks that are not volumes, so it needs the same proof as destroying. */
  readonly stopWipes: boolean
  readonly destroy: boolean
  readonly spot: boolean
  /** Instances carry a label that can be searched for after an ambiguous create. */
  readonly labels: boolean
  readonly attachKey: boolean
  /** A line can be written on or read from the instance without SSH. */
  readonly logs: boolean
}

/** One way in, in the order to probe; host and port belong together and are never mixed with another's. */
export interface Endpoint {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly via: 'direct' | 'proxy'
  /** What the operator wrote, to be resolved by the SSH configuration in place of host, port and user. */
  readonly address?: string
}

export type Market =
  {readonly kind: 'on-demand'} | {readonly kind: 'spot'; /** US$ an hour */ readonly bid: number}

/** What a box is, or shall be. Nothing in it is secret: environment values never are part of it. */
export interface Spec {
  readonly gpuName: string
  readonly gpuCount: number
  /** MB (10^6) of each GPU; 0 when not known. */
  readonly gpuMemoryMB: number
  readonly diskGB: number
  /** The share of `diskGB` that survives a stop where the rest does not, and where it is. */
  readonly volume?: {readonly sizeGB: number; readonly path: string}
  readonly memoryMB?: number
  readonly cores?: number
  /** The newest CUDA the host must be able to run, such as `12.4`. */
  readonly cuda?: string
  readonly image?: string
  readonly templateId?: string
  readonly region?: string
  readonly ports: readonly string[]
  /** Names only. */
  readonly envNames: readonly string[]
  readonly market: Market
}

/** One machine for rent, priced for the disk that was asked for. */
export interface Offer {
  readonly id: string
  /** The vendor's name of the physical machine, to prefer or to avoid; undefined where there is none. */
  readonly machine: string | undefined
  readonly spec: Spec
  /** US$ an hour with its disk. */
  readonly hourly: number
  /** US$ per GB and month while it exists. */
  readonly storagePerGBMonth: number
  readonly upCostPerGB: number
  readonly downCostPerGB: number
  readonly downMbps: number | undefined
  readonly upMbps: number | undefined
  readonly reliability: number | undefined
}

/** One instance as the vendor tells it now. Every string is as it came: render through `untrusted`. */
export interface Instance {
  readonly id: string
  readonly label: string | undefined
  readonly phase: Phase
  /** The vendor's own words. */
  readonly state: string
  readonly message: string | undefined
  readonly endpoints: readonly Endpoint[]
  readonly spec: Spec
  readonly machine: string | undefined
  /** US$ an hour it costs at this moment; undefined when not told. */
  readonly hourly: number | undefined
  readonly storagePerGBMonth: number | undefined
  readonly upCostPerGB: number | undefined
  readonly downCostPerGB: number | undefined
  /** Milliseconds since the epoch; with the id this is the start identity that a receipt binds. */
  readonly createdAt: number | undefined
  readonly endsAt: number | undefined
  /** Disks that outlive the instance and go on costing. */
  readonly volumes: readonly string[]
}

export interface SearchOptions {
  readonly maxHourly?: number
  readonly avoidMachines?: readonly string[]
}

/** Everything a create needs besides the offer. */
export interface CreateRequest {
  readonly spec: Spec
  /** Unique for this attempt and written to the journal before the request is sent. */
  readonly label: string
  /** One-line public keys that shall be able to log in. */
  readonly publicKeys: readonly string[]
  /** Values by name; never logged, never stored. */
  readonly env: Readonly<Record<string, string>>
  readonly onstart?: string
}

/** One vendor account. Every call rejects with a ProviderError and honours the signal. */
export interface Provider {
  readonly name: string
  readonly capabilities: Capabilities
  /** The account in the vendor's words, and what it can still spend. */
  whoami(signal?: AbortSignal): Promise<{readonly account: string; readonly creditUSD?: number}>
  /** All instances of the account, every page. */
  list(filter?: {readonly label?: string}, signal?: AbortSignal): Promise<readonly Instance[]>
  /** An absent instance has the phase `gone`: that is no error. */
  get(id: string, signal?: AbortSignal): Promise<Instance>
  /** Values of the environment its renter gave it, without what the vendor adds: for encrypted records only, never shown. */
  values?(id: string, signal?: AbortSignal): Promise<Readonly<Record<string, string>>>
  search?(spec: Spec, options?: SearchOptions, signal?: AbortSignal): Promise<readonly Offer[]>
  /**
   * Rents; never repeated by itself. Rejects with `AMBIGUOUS` when the vendor may have done it all the same:
   * then list by label and adopt or destroy.
   */
  create?(
    offer: Offer,
    request: CreateRequest,
    signal?: AbortSignal,
  ): Promise<{readonly id: string}>
  attachKey?(id: string, publicKey: string, signal?: AbortSignal): Promise<void>
  start?(id: string, signal?: AbortSignal): Promise<void>
  stop?(id: string, proof: DestroyProof | undefined, signal?: AbortSignal): Promise<void>
  /** Asks for the end; whether it came is read apart, by `get` and `list`. An instance that is gone already is no error. */
  destroy?(id: string, proof: DestroyProof, signal?: AbortSignal): Promise<void>
  /** The last lines of the instance's log, for a failed boot; bounded and with secrets taken out. */
  logs?(id: string, lines: number, signal?: AbortSignal): Promise<string>
  /**
   * What a command of the vendor's own channel prints, without SSH: a second way to look at the same box. The vendor
   * may know few commands (vast: `ls`, `du`); the text is bounded, and as it came.
   */
  execute?(id: string, command: string, signal?: AbortSignal): Promise<string>
}
