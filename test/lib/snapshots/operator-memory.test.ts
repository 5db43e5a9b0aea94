import {mkdtemp, readdir, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, expect, test} from '@jest/globals'
import {
  openOperatorMemory,
  refuseRollback,
  rememberedOf,
} from '../../../src/lib/snapshots/operator-memory.js'
import {openSigningRecord} from '../../../src/lib/snapshots/signing-record.js'
import {manifestOf} from './manifest-of.js'

const ONE = manifestOf('20261101T000000Z-aaaaaa')
const TWO = manifestOf('20261102T000000Z-bbbbbb', {sequence: 2})
let stateDir: string
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'dumont-state-'))
})
afterEach(() => rm(stateDir, {recursive: true, force: true}))

const memory = () => openOperatorMemory(stateDir, 'repository')
const everything = () => true

test('nothing seen is nothing missed', async () => {
  expect(await memory().all()).toEqual([])
  await refuseRollback(memory(), [], everything, false)
})

test('the newest snapshot seen is kept from one command to the next', async () => {
  await memory().remember(rememberedOf(TWO))
  await memory().remember(rememberedOf(ONE))
  expect(await memory().all()).toEqual([
    {lineage: '1'.repeat(32), label: 'train', sequence: 2, snapshot: TWO.id},
  ])
})

test('a store that shows an older snapshot is refused', async () => {
  await memory().remember(rememberedOf(TWO))
  await expect(refuseRollback(memory(), [ONE], everything, false)).rejects.toMatchObject({
    code: 'INTEGRITY',
    message: expect.stringContaining(TWO.id),
    hint: expect.stringContaining('--accept-rollback'),
  })
})

test('a store that has lost a lineage altogether is refused', async () => {
  await memory().remember(rememberedOf(TWO))
  await expect(refuseRollback(memory(), [], everything, false)).rejects.toMatchObject({
    code: 'INTEGRITY',
  })
})

test('other lineages are not concerned', async () => {
  await memory().remember(rememberedOf(TWO))
  await refuseRollback(memory(), [], ({label}) => label === 'eval', false)
})

test('what is accepted once is not asked about again', async () => {
  await memory().remember(rememberedOf(TWO))
  await refuseRollback(memory(), [ONE], everything, true)
  await refuseRollback(memory(), [ONE], everything, false)
})

test('a damaged memory is an error, not an empty one', async () => {
  await memory().remember(rememberedOf(ONE))
  await writeFile(join(stateDir, 'repository/lineages', `${'1'.repeat(32)}.json`), '{')
  await expect(memory().all()).rejects.toMatchObject({
    code: 'INTEGRITY',
    hint: expect.stringContaining('remove it'),
  })
})

test('no half-written file is left', async () => {
  await Promise.all([ONE, TWO, ONE, TWO].map((stored) => memory().remember(rememberedOf(stored))))
  expect(await readdir(join(stateDir, 'repository/lineages'))).toHaveLength(1)
})

test('a signing record gives back what was signed, and only sound lines', async () => {
  const record = openSigningRecord(stateDir, 'repository')
  const signed = {
    key: 'packs/x/0-0-1',
    length: 7,
    pin: {kind: 'crc32', value: 'AAAAAA=='},
    lineage: 'l',
  } as const
  await record.append(ONE.id, [signed])
  await writeFile(join(stateDir, 'repository/signed', `${ONE.id}.jsonl`), '{"key": "packs/x/0', {
    flag: 'a',
  })
  expect([...(await record.read(ONE.id)).values()]).toEqual([signed])
})

test('a signing record is never looked for outside its folder', async () => {
  const record = openSigningRecord(stateDir, 'repository')
  expect((await record.read('../../etc/passwd')).size).toBe(0)
})

test('signing records go with their commit, and when nobody takes a run up for two weeks', async () => {
  const record = openSigningRecord(stateDir, 'repository')
  for (const id of [ONE.id, TWO.id, '20261001T000000Z-aaaaaa']) await record.append(id, [])
  await record.tidy(TWO.id, Date.UTC(2026, 10, 3))
  expect(await readdir(join(stateDir, 'repository/signed'))).toEqual([`${ONE.id}.jsonl`])
})
