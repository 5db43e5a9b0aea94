import {randomBytes} from 'node:crypto'
import {readFileSync} from 'node:fs'
import type {Keyring} from '../../src/lib/seal/keyring.js'
import {parseKeyring, serialiseKeyring} from '../../src/lib/seal/keyring.js'
import {openKeys} from '../../src/lib/seal/open-keys.js'
import {parseHeader, parseSeal} from '../../src/lib/seal/sealed-object.js'
import {parseSecretText, secretText} from '../../src/lib/seal/secret-text.js'
import {openSlot, parseSlot, serialiseSlot} from '../../src/lib/seal/slot.js'
import {keyedStore} from '../../src/lib/store/keyed-store.js'
import {MemoryStore} from '../../src/lib/store/memory-store.js'
import {ShiftedClock} from '../support/shifted-clock.js'
import {bufferOf, filesIn, insist, refusing, type Target, textOf} from './target.js'

const SEALED = new URL('../fixtures/format-1-sealed/', import.meta.url)
const DAMAGE = ['INTEGRITY', 'FORMAT_NEWER'] as const
const {secret} = JSON.parse(readFileSync(new URL('keys.json', SEALED), 'utf8')) as {secret: string}
const drawn = {kind: 'drawn', bytes: parseSecretText(secret) ?? Buffer.alloc(0)} as const

const stored = (folder: string) =>
  filesIn(new URL(`store/${folder}/`, SEALED)).map((file) => readFileSync(file))

let ring: Keyring | undefined
let genuine: Uint8Array | undefined

/** The keys of the golden sealed store, by the slot whose secret was drawn. */
async function keyring(): Promise<Keyring> {
  for (const bytes of stored('keys')) ring ??= await openSlot(parseSlot(bytes), drawn)
  insist(ring !== undefined, 'the golden keys')
  return ring
}

const slot: Target = {
  name: 'key-slot',
  seeds: () => stored('keys'),
  async run(input) {
    const found = await refusing(DAMAGE, () => parseSlot(input))
    if (!found) return
    insist(parseSlot(serialiseSlot(found)).slot === found.slot, 'a slot that changes')
    // What words open takes a tenth of a second each time.
    if (found.kdf.name === 'scrypt') return
    const opened = await refusing(DAMAGE, () => openSlot(found, drawn))
    const expected = serialiseKeyring(await keyring())
    insist(!opened || serialiseKeyring(opened).equals(expected), 'other keys than were sealed')
  },
}

const sealed: Target = {
  name: 'sealed-object',
  seeds: () => stored('snapshots'),
  async run(input) {
    const keys = await keyring()
    const repository = Buffer.from(keys.repository, 'hex')
    const name = filesIn(new URL('store/snapshots/', SEALED))[0]?.pathname.split('/').at(-1) ?? ''
    const key = `snapshots/${name}`
    const read = async (bytes: Uint8Array) => {
      const inner = new MemoryStore({clock: new ShiftedClock()})
      await inner.put(key, bytes)
      return keyedStore(inner, openKeys(keys, 'sealed', randomBytes)).get(key)
    }
    const plain = await refusing(DAMAGE, () => read(input))
    // Blanks around what is sealed may change; what is sealed may not.
    genuine ??= await read(stored('snapshots')[0] ?? Buffer.alloc(0))
    insist(!plain || bufferOf(plain).equals(genuine), 'something else than what was sealed')
    await refusing(DAMAGE, () => parseHeader(input, 'manifest', repository))
    await refusing(DAMAGE, () => parseSeal(textOf(input)))
    await refusing(DAMAGE, () => parseSeal(bufferOf(input).toString('base64')))
    await refusing(DAMAGE, () => parseKeyring(input))
  },
}

const text: Target = {
  name: 'secret-text',
  seeds: () => [Buffer.from(secret), Buffer.from(secret.toUpperCase().replaceAll('-', ' '))],
  run(input) {
    const found = parseSecretText(textOf(input))
    insist(!found || found.length === 32, 'a secret of another length')
    insist(!found || parseSecretText(secretText(found))?.equals(found) === true, 'another secret')
  },
}

export const SEAL_TARGETS: readonly Target[] = [slot, sealed, text]
