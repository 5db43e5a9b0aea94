import {appendFile, mkdtemp, readFile, rm, stat, truncate, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import type {ChunkRecord} from '../../../src/lib/format/chunk-record.js'
import {openProofLedger, type Proof} from '../../../src/lib/snapshots/proof-ledger.js'

let stateDir: string
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'dumont-ledger-'))
})
afterEach(async () => rm(stateDir, {force: true, recursive: true}))

const file = () => join(stateDir, 'repo', 'verified-copy.jsonl')
const open = () => openProofLedger(stateDir, {copy: 'copy', repository: 'repo'}, () => {})

function chunk(letter: string, at = 0): ChunkRecord {
  return {
    at,
    chunk: 0,
    codec: 'zstd',
    delta: undefined,
    frameHash: letter.repeat(64),
    pack: 0,
    rawHash: letter.repeat(64),
    rawLength: 100,
    stored: 80,
    transform: 'none',
  }
}

function proof(change: Partial<Proof> = {}): Proof {
  const pack = {key: 'packs/x/0', length: 100, pin: {kind: 'crc32', value: 'AAAAAA=='}} as const
  return {by: 'operator', chunks: [chunk('a'), chunk('b', 80)], level: 'stored', pack, ...change}
}

/** What a ledger says after `noted` was written by another that has been closed. */
async function afterwards(noted: readonly Proof[], at = 1000) {
  const ledger = await open()
  for (const one of noted) await ledger.note(one, at)
  await ledger.close()
  const again = await open()
  await again.close()
  return again
}

describe('what was proven', () => {
  test('is known to the next run', async () => {
    expect((await afterwards([proof()])).provenAt(proof())).toBe(1000)
  })
  test('holds for fewer chunks of the pack, not for others', async () => {
    const ledger = await afterwards([proof()])
    expect(ledger.provenAt(proof({chunks: [chunk('b', 80)]}))).toBe(1000)
    expect(ledger.provenAt(proof({chunks: [chunk('c', 80)]}))).toBeUndefined()
    expect(ledger.provenAt(proof({chunks: [chunk('b', 81)]}))).toBeUndefined()
  })
  test('holds for a lower level, not for a higher one', async () => {
    const decoded = await afterwards([proof({level: 'decoded'})])
    expect(decoded.provenAt(proof())).toBe(1000)
    const stored = proof({pack: {...proof().pack, key: 'packs/y/0'}})
    expect((await afterwards([stored])).provenAt({...stored, level: 'decoded'})).toBeUndefined()
  })
  test('by a box is no proof for the operator; the other way round it is', async () => {
    const ledger = await afterwards([proof({by: 'box'})])
    expect(ledger.provenAt(proof())).toBeUndefined()
    expect(ledger.provenAt(proof({by: 'box'}))).toBe(1000)
    expect((await afterwards([proof()], 2000)).provenAt(proof({by: 'box'}))).toBe(2000)
  })
  test.each([
    ['checksum', {pin: {kind: 'crc32', value: 'BBBBBA=='}}],
    ['length', {length: 101}],
    ['key', {key: 'packs/y/0'}],
  ] as const)('says nothing of a pack of another %s', async (_, change) => {
    const other = proof({pack: {...proof().pack, ...change}})
    expect((await afterwards([proof()])).provenAt(other)).toBeUndefined()
  })
  test('of one run adds up, of an earlier run does not', async () => {
    const [a, b] = [proof({chunks: [chunk('a')]}), proof({chunks: [chunk('b', 80)]})]
    expect((await afterwards([a, b])).provenAt(proof())).toBe(1000)
    await afterwards([a], 2000)
    expect((await afterwards([b], 3000)).provenAt(proof())).toBeUndefined()
  })
})

describe('the file', () => {
  test('is private', async () => {
    await afterwards([proof()])
    expect((await stat(file())).mode & 0o777).toBe(0o600)
  })
  test('loses only the line that a crash cut off', async () => {
    await afterwards([proof(), proof({pack: {...proof().pack, key: 'packs/y/0'}})])
    await truncate(file(), (await stat(file())).size - 5)
    const ledger = await afterwards([])
    expect(ledger.provenAt(proof())).toBe(1000)
    expect(ledger.provenAt(proof({pack: {...proof().pack, key: 'packs/y/0'}}))).toBeUndefined()
    // What is written behind it is whole.
    expect((await afterwards([proof()], 2000)).provenAt(proof())).toBe(2000)
  })
  test('is not believed where a bit has changed', async () => {
    await afterwards([proof()])
    const text = await readFile(file(), 'utf8')
    await writeFile(file(), text.replace('"stored"', '"decoded"'))
    expect((await afterwards([])).provenAt(proof({level: 'decoded'}))).toBeUndefined()
  })
  test('may hold anything else, too', async () => {
    await afterwards([proof()])
    await appendFile(file(), '\n\u0000\n{}\n0123456789abcdef null\n')
    expect((await afterwards([])).provenAt(proof())).toBe(1000)
  })
  test('is not read when it is larger than it is ever written', async () => {
    await afterwards([proof()])
    await truncate(file(), 64 * 1024 * 1024 + 1)
    expect((await afterwards([])).provenAt(proof())).toBeUndefined()
    expect((await afterwards([proof()])).provenAt(proof())).toBe(1000)
  })
  test('does not grow with what it repeats', async () => {
    for (let round = 0; round < 4; round += 1)
      await afterwards(
        Array.from({length: 1100}, () => proof()),
        round,
      )
    expect((await stat(file())).size).toBeLessThan(1_000_000)
  })
})

test('a ledger that cannot be written forgets, says so once, and works', async () => {
  await writeFile(join(stateDir, 'repo'), 'a file where the directory should be')
  let told = 0
  const ledger = await openProofLedger(
    stateDir,
    {copy: 'copy', repository: 'repo'},
    () => (told += 1),
  )
  await ledger.note(proof(), 1000)
  expect(ledger.provenAt(proof())).toBe(1000)
  expect(await ledger.begin('all', 1000, false)).toBe(1000)
  await ledger.close()
  expect(told).toBe(1)
})

describe('a run', () => {
  const HOUR = 3_600_000
  test('that did not end is gone on with', async () => {
    const ledger = await open()
    expect(await ledger.begin('all', 1000, false)).toBe(1000)
    await ledger.close()
    const next = await open()
    expect(await next.begin('all', HOUR, false)).toBe(1000)
    await next.close()
  })
  test('that ended is not', async () => {
    const ledger = await open()
    await ledger.begin('all', 1000, false)
    await ledger.end('all')
    await ledger.close()
    const next = await open()
    expect(await next.begin('all', HOUR, false)).toBe(HOUR)
    await next.close()
  })
  test('begins anew when told to, after a week, and when the clock was set back', async () => {
    const ledger = await open()
    await ledger.begin('all', HOUR, false)
    expect(await ledger.begin('all', 2 * HOUR, true)).toBe(2 * HOUR)
    expect(await ledger.begin('all', 171 * HOUR, false)).toBe(171 * HOUR)
    expect(await ledger.begin('all', HOUR, false)).toBe(HOUR)
    await ledger.close()
  })
  test('of something else is another run', async () => {
    const ledger = await open()
    await ledger.begin('all', 1000, false)
    expect(await ledger.begin('one', 2000, false)).toBe(2000)
    await ledger.close()
  })
})
