import {describe, expect, test} from '@jest/globals'
import {systemClock} from '../../../src/lib/clock.js'
import type {Entry} from '../../../src/lib/format/entry.js'
import type {IndexLine} from '../../../src/lib/format/index-reader.js'
import type {BoxTools} from '../../../src/lib/instances/box-tools.js'
import {compareSample} from '../../../src/lib/instances/disk-sample.js'
import type {SamplePiece} from '../../../src/lib/instances/sample-choice.js'
import type {ExecOptions} from '../../../src/lib/remote/session.js'
import {MemoryStore} from '../../../src/lib/store/memory-store.js'
import {
  chunksOf,
  contentsOf,
  linesOf,
  object,
  packsOf,
  sha256,
  snapshots,
} from '../format/golden.js'

const [, , LEANING = ''] = snapshots

interface Spoilt {
  /** Number of a pack that is not there. */
  readonly missing?: number
  /** Number of a chunk of which a bit is wrong. */
  readonly damaged?: number
}

/** The golden snapshot's packs in memory. */
async function storeOf({damaged, missing}: Spoilt = {}): Promise<MemoryStore> {
  const store = new MemoryStore({clock: systemClock})
  const bad = (await chunksOf(LEANING)).find(({chunk}) => chunk === damaged)
  for (const [number, {key}] of (await packsOf(LEANING)).entries()) {
    const bytes = Buffer.from(object(key))
    const place = (bad?.at ?? 0) + 100
    if (bad?.pack === number) bytes.writeUInt8(bytes.readUInt8(place) ^ 1, place)
    if (number !== missing) await store.put(key, bytes)
  }
  return store
}

/** A box on which every file is as it was saved, and its sha256sum told the truth. */
function boxOf(contents: ReadonlyMap<string, Buffer>): BoxTools {
  const exec = (_argv: readonly string[], {stdin}: ExecOptions = {}) => {
    const fields = Buffer.from(stdin ?? [])
      .toString('latin1')
      .split('\0')
    const told = []
    for (let at = 0; at + 3 <= fields.length; at += 3) {
      const [start, length] = [Number(fields[at + 1]), Number(fields[at + 2])]
      const content = contents.get(fields[at] ?? '') ?? Buffer.alloc(0)
      told.push(`${sha256(content.subarray(start, start + length))}  -\n`)
    }
    return Promise.resolve({code: 0, stderr: new Uint8Array(), stdout: Buffer.from(told.join(''))})
  }
  return {exec} as unknown as BoxTools
}

async function sample(names: readonly string[], spoilt: Spoilt = {}, limit = 1e9) {
  const contents = new Map<string, Buffer>()
  const entries = new Map<string, Entry>()
  for await (const {content, entry} of contentsOf(LEANING)) {
    if (entry.root !== 0) continue
    contents.set(`/w/${entry.path.toString('latin1')}`, content)
    entries.set(entry.path.toString('latin1'), entry)
  }
  const pieces = names.map((name): SamplePiece => {
    const entry = entries.get(name) as Entry
    return {entry, length: entry.size - 7, offset: 5}
  })
  const store = await storeOf(spoilt)
  async function* lines(): AsyncGenerator<IndexLine> {
    yield* await linesOf(LEANING)
  }
  const source = {lines, packs: await packsOf(LEANING), roots: ['/w', '/f'], store}
  return compareSample(boxOf(contents), source, {limit, pieces})
}

const ALL = ['bf16.safetensors', 'bytes typed over', 'checkpoints/step-2', 'wide tuned']

describe('a sample of files that are stored as differences', () => {
  test('is decoded from the store, bases that no file uses included', async () => {
    expect(await sample(ALL)).toMatchObject({different: [], files: ALL.length})
  })

  test('counts what was read of bases, and reads a base of two files once', async () => {
    const chunks = await chunksOf(LEANING)
    const step = chunks.filter(({delta, transform}) => delta && transform === 'planes4')
    const base = chunks[step[0]?.delta?.base ?? -1]
    const stored = step.reduce((sum, one) => sum + one.stored, base?.stored ?? 0)
    const found = await sample(['checkpoints/step-2', 'checkpoints/step-3', 'copy of step-2'])
    expect(found.bytesRead).toBe(stored)
  })

  test('ends where bases have used the bytes up', async () => {
    const [base, change] = await chunksOf(LEANING)
    const limit = (change?.stored ?? 0) + 1
    expect(limit).toBeLessThan((base?.stored ?? 0) + (change?.stored ?? 0))
    expect(await sample(ALL, {}, limit)).toMatchObject({files: 1})
  })

  test('does not pass without the pack of a base', async () => {
    await expect(sample(['bf16.safetensors'], {missing: 0})).rejects.toMatchObject({
      code: 'INTEGRITY',
    })
  })

  test('does not pass with a damaged base', async () => {
    await expect(sample(['bf16.safetensors'], {damaged: 0})).rejects.toMatchObject({
      code: 'INTEGRITY',
    })
  })
})
