import {readFileSync} from 'node:fs'
import type {Keyring} from '../../../src/lib/seal/keyring.js'
import type {OwnKind, SealedKind} from '../../../src/lib/seal/store-keys.js'

interface Stored {
  readonly key: string
  readonly plain: string
  readonly stored: string
}

interface Vectors {
  readonly repository: string
  readonly master: {readonly id: string; readonly key: string}
  readonly run: {readonly salt: string; readonly secret: string; readonly header: string}
  readonly macKey: string
  readonly objects: readonly {
    readonly kind: OwnKind | SealedKind
    readonly number: number
    readonly place: string
    readonly objectSalt: string
    readonly objectKey: string
    readonly commitment: string
    readonly header: string
    readonly seal: string
    readonly records: readonly {
      readonly at: number
      readonly plain: string
      readonly record: string
    }[]
    readonly object: string
  }[]
  readonly sealedManifest: Stored
  readonly sealedRecord: Stored
  readonly authenticatedManifest: Stored
  readonly authenticatedRecord: Stored
  readonly secretText: {readonly secret: string; readonly text: string}
  readonly slots: readonly {
    readonly typed?: string
    readonly secret?: string
    readonly keyring: string
    readonly stored: object
  }[]
}

/** Worked out by another program from `docs/format.md`; the worker is held against the same. */
export const vectors = JSON.parse(
  readFileSync(new URL('../../fixtures/seal/vectors.json', import.meta.url), 'utf8'),
) as Vectors

export const bytesOf = (base64: string): Buffer => Buffer.from(base64, 'base64')

export const vectorKeyring: Keyring = {
  repository: vectors.repository,
  masters: [
    {
      id: vectors.master.id,
      key: bytesOf(vectors.master.key),
      created: '2026-11-23T14:02:00.000Z',
    },
  ],
}
