import {randomBytes} from 'node:crypto'
import type {Keyring} from '../../src/lib/seal/keyring.js'
import {openKeys} from '../../src/lib/seal/open-keys.js'
import type {Protection, StoreKeys} from '../../src/lib/seal/store-keys.js'

/** One master that every test may know. */
export const KNOWN_RING: Keyring = {
  repository: '00112233445566778899aabbccddeeff',
  masters: [{id: '0123456789abcdef', key: Buffer.alloc(32, 7), created: '2026-11-23T14:02:00Z'}],
}

export function keysFor(protection: Protection, ring: Keyring = KNOWN_RING): StoreKeys {
  return openKeys(ring, protection, randomBytes)
}
