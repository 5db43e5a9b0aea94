/** What the keys of a store do: encrypt everything, or prove who wrote manifests and records (`docs/format.md` section 8). */
export type Protection = 'authenticated' | 'sealed'

/** Kinds of sealed objects that boxes write and read. */
export type SealedKind = 'groups' | 'pack' | 'packs' | 'segment'

/** Objects that only the operator's machine writes and reads. */
export type OwnKind = 'manifest' | 'record'

/** What a box gets to seal the objects of one run. */
export interface RunSeal {
  /** The first 64 bytes of every header, with kind 0: magic … run salt. */
  readonly header: Uint8Array
  /** 32 bytes. */
  readonly secret: Uint8Array
}

/** What a box gets to open one object. */
export interface ObjectSeal {
  /** The 128 bytes of its header. */
  readonly header: Uint8Array
  /** 32 bytes. */
  readonly secret: Uint8Array
}

/** The unlocked keys of one store. All methods are pure but for random salts; what does not open rejects with INTEGRITY. */
export interface StoreKeys {
  readonly protection: Protection
  /** For one run on a box; undefined in a store that is not sealed. */
  newRun(): RunSeal | undefined
  /** What opens one object by its seal; throws INTEGRITY when no master of ours made it. */
  objectSeal(kind: SealedKind, seal: string): ObjectSeal
  /** The frame, segment or list in one record that begins at this offset of its object. */
  open(kind: SealedKind, seal: string, record: Uint8Array, at?: number): Uint8Array
  /** What is stored for a manifest or record: sealed, or with its MAC. */
  close(kind: OwnKind, key: string, plain: Uint8Array): Uint8Array
  /** The plain JSON of what was stored under this key, proven ours. */
  reveal(kind: OwnKind, key: string, stored: Uint8Array): Uint8Array
}
