import {createHash} from 'node:crypto'
import {gzipSync} from 'node:zlib'
import type {ParityGroup, StoredObject} from '../../../src/lib/format/group-list.js'
import type {Manifest} from '../../../src/lib/format/manifest.js'
import {readPacks} from '../../../src/lib/snapshots/stored-index.js'
import {pinOf} from '../../../src/lib/store/pin.js'
import type {Store} from '../../../src/lib/store/store.js'

/** Adds so much parity to a stored snapshot, over all its packs and over its index, by the definition alone. */
export async function addParity(
  store: Store,
  manifest: Manifest,
  count: number,
): Promise<{readonly groups: readonly ParityGroup[]; readonly manifest: Manifest}> {
  const {packs: list, segments} = manifest.index
  const packs = (await readPacks(store, manifest)).map(({key, length, pin}) => ({key, length, pin}))
  const index = await Promise.all([...segments, list].map(({key}) => objectAt(store, key)))
  const groups: ParityGroup[] = []
  for (const members of [packs, index]) {
    const contents = await Promise.all(members.map(({key}) => store.get(key)))
    const parity: StoredObject[] = []
    for (let row = 0; row < count; row += 1) {
      const key = `parity/${manifest.id}/0-${groups.length * count + row}-1`
      await store.put(key, sumOf(contents, row))
      parity.push(await objectAt(store, key))
    }
    groups.push({members, parity})
  }
  const lines = [
    {kind: 'groups', format: 1, snapshot: manifest.id},
    ...groups.map((group, number) => ({group: number, ...group})),
  ]
  const key = `index/${manifest.id}/groups`
  const bytes = gzipSync(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  await store.put(key, bytes)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const named = {key, length: bytes.length, sha256}
  return {groups, manifest: {...manifest, index: {...manifest.index, groups: named}}}
}

async function objectAt(store: Store, key: string): Promise<StoredObject> {
  const bytes = await store.get(key)
  return {key, length: bytes.length, pin: pinOf('crc32', bytes)}
}

function sumOf(members: readonly Uint8Array[], row: number): Uint8Array {
  const sum = Buffer.alloc(Math.max(...members.map(({length}) => length)))
  for (const [number, member] of members.entries()) {
    const table = Uint8Array.from({length: 256}, (_, byte) => times(byte, number * row))
    for (const [at, byte] of member.entries()) sum[at] = (sum[at] ?? 0) ^ (table[byte] ?? 0)
  }
  return sum
}

/** byte · 2^power in GF(2⁸) with the polynomial 0x11d. */
function times(byte: number, power: number): number {
  let value = byte
  for (let n = 0; n < power; n += 1) value = (value << 1) ^ (value & 0x80 ? 0x11d : 0)
  return value
}
