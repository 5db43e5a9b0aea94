import {randomBytes} from 'node:crypto'
import {afterEach, beforeEach, expect, test} from '@jest/globals'
import {proveKeys} from '../../../src/lib/instances/key-proof.js'
import {withNewMaster, type Keyring} from '../../../src/lib/seal/keyring.js'
import {readManifest} from '../../../src/lib/snapshots/manifests.js'
import type {ColdUnlock} from '../../../src/lib/snapshots/service.js'
import {readPacks} from '../../../src/lib/snapshots/stored-index.js'
import {keyedStore} from '../../../src/lib/store/keyed-store.js'
import {keysFor, KNOWN_RING} from '../../support/store-keys.js'
import {benchTop, type BenchTop} from '../snapshots/bench-top.js'

let bench: BenchTop
let id: string
beforeEach(async () => {
  bench = await benchTop(keysFor('sealed'))
  id = (await bench.create()).id ?? ''
})
afterEach(() => bench.remove())

const FILE = {kind: 'file'} as const
const RECOVERY = {kind: 'recovery'} as const

const reopened = (slots: ColdUnlock['slots'], ring: Keyring = KNOWN_RING) => ({
  store: bench.service.store,
  coldUnlock: async () => ({slots, store: keyedStore(bench.store, keysFor('sealed', ring))}),
})

test('two slots, one of them for recovery, that open the snapshot are enough', async () => {
  const {checks, refusals} = await proveKeys(reopened([FILE, RECOVERY]), id)
  expect(refusals).toEqual([])
  expect(checks).toMatchObject([
    {by: 'operator', rule: 'keys', figures: {slots: 2, bytesOpened: 61}},
  ])
})

test.each([
  ['one slot', [RECOVERY], ['1 key slot']],
  ['no recovery text', [FILE, FILE], ['no recovery text']],
  ['one slot that is not for recovery', [FILE], ['1 key slot', 'no recovery text']],
] as const)('%s is not enough', async (_what, slots, reasons) => {
  const {refusals} = await proveKeys(reopened(slots), id)
  expect(refusals).toHaveLength(reasons.length)
  for (const [index, reason] of reasons.entries())
    expect(refusals[index]).toMatchObject({
      rule: 'keys',
      message: expect.stringContaining(reason) as unknown,
      remedy: expect.stringContaining('dumont key add') as unknown,
    })
})

test('slots that give other keys prove nothing', async () => {
  const other = withNewMaster({...KNOWN_RING, masters: []}, '2026-11-23T14:02:00Z', randomBytes)
  await expect(proveKeys(reopened([FILE, RECOVERY], other), id)).rejects.toMatchObject({
    code: 'INTEGRITY',
  })
})

test('a pack that does not open proves nothing', async () => {
  const {manifest} = await readManifest(bench.service.store, id)
  const [pack] = await readPacks(bench.service.store, manifest)
  const bytes = Buffer.from(await bench.store.inner.get(pack?.key ?? ''))
  bytes.writeUInt8(bytes.readUInt8(140) ^ 1, 140)
  await bench.store.inner.put(pack?.key ?? '', bytes, {onlyIfAbsent: false})
  await expect(proveKeys(reopened([FILE, RECOVERY]), id)).rejects.toMatchObject({
    code: 'INTEGRITY',
  })
})

test('keys that nobody can try again are refused', async () => {
  const {refusals} = await proveKeys({store: bench.service.store}, id)
  expect(refusals).toMatchObject([{rule: 'keys'}])
})

test('a store that is not sealed is read without keys', async () => {
  const store = keyedStore(bench.store, keysFor('authenticated'))
  expect(await proveKeys({store}, id)).toEqual({checks: [], refusals: []})
  expect(await proveKeys({store: bench.store}, id)).toEqual({checks: [], refusals: []})
})
