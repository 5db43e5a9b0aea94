import {describe, expect, test} from '@jest/globals'
import {systemClock} from '../../../src/lib/clock.js'
import type {ChunkRecord} from '../../../src/lib/format/chunk-record.js'
import type {Entry} from '../../../src/lib/format/entry.js'
import type {IndexLine} from '../../../src/lib/format/index-reader.js'
import {differingFiles} from '../../../src/lib/snapshots/differing-files.js'
import {showSnapshot} from '../../../src/lib/snapshots/show-snapshot.js'
import {openStore} from '../../../src/lib/store/open-store.js'
import {describeDifferences, describeDiffering} from '../../../src/ui/describe-differences.js'
import {linesOf, snapshots} from '../format/golden.js'

const MIB = 1 << 20

function chunk(number: number, stored: number, base?: number): IndexLine {
  const record = {chunk: number, rawLength: MIB, stored} as ChunkRecord
  const delta = base === undefined ? undefined : ({base, operation: 'xor'} as const)
  return {chunk: {...record, delta}, sort: 'chunk'}
}

function file(path: string, chunks: readonly number[], more: Partial<Entry> = {}): IndexLine {
  const extents = chunks.map((number, at) => ({
    at: 0,
    chunk: number,
    length: MIB,
    offset: at * MIB,
  }))
  const size = chunks.length * MIB
  const entry = {extents, kind: 'file', path: Buffer.from(path), root: 0, size, ...more}
  return {entry: entry as unknown as Entry, node: '', sort: 'entry'}
}

async function* stream(lines: readonly IndexLine[]): AsyncGenerator<IndexLine> {
  yield* lines
}

const found = (...lines: readonly IndexLine[]) => differingFiles(stream(lines))

describe('files that are stored as differences', () => {
  test('name their share and the file with most of what they differ from', async () => {
    const files = await found(
      ...[chunk(0, MIB / 2), chunk(1, MIB / 2), chunk(2, MIB / 2), file('a', [0, 1])],
      file('b', [2]),
      ...[chunk(3, MIB / 8, 0), chunk(4, MIB / 8, 1), chunk(5, MIB / 8, 2)],
      file('c', [3, 4, 5, 2]),
    )
    const stored = (7 / 8) * MIB
    expect(files).toEqual([{base: {path: 'a', root: 0}, path: 'c', root: 0, size: 4 * MIB, stored}])
  })

  test('may stand before the file that they differ from', async () => {
    const [only] = await found(chunk(0, 9), chunk(1, 9, 0), file('a', [1]), file('z', [0]))
    expect(only).toMatchObject({base: {path: 'z'}, path: 'a'})
  })

  test('name no base that no file has any more', async () => {
    const [only] = await found(chunk(0, 9), chunk(1, 9, 0), file('a', [1]))
    expect(only).not.toHaveProperty('base')
    expect(describeDiffering([only as NonNullable<typeof only>])).toEqual([
      'differs   a: 0 % of its size, base in no file any more',
    ])
  })

  test('are told once for all their hard links, the largest first', async () => {
    const link = {root: 0, path: Buffer.from('a')}
    const lines = [chunk(0, 9), chunk(1, 9, 0), file('a', [1]), file('b', [1], {link})]
    const files = await found(...lines, file('c', [1, 1]))
    expect(files.map(({path}) => path)).toEqual(['c', 'a'])
  })

  test('are few lines, however many they are', () => {
    const many = Array.from({length: 9}, (_, n) => ({
      base: {path: 'base', root: 0},
      path: `step-${n}`,
      root: 0,
      size: 100,
      stored: 24,
    }))
    const lines = describeDiffering(many)
    expect(lines).toHaveLength(6)
    expect(lines[0]).toBe('differs   step-0: 24 % of its size, base base')
    expect(lines.at(-1)).toContain('and 4 more')
  })

  test('of the golden snapshot are found by show, and by their index alone', async () => {
    const files = await differingFiles(stream(await linesOf(snapshots[2] ?? '')))
    const pairs = files.map(({base, path}) => `${path} < ${base?.path ?? 'nothing'}`)
    expect(pairs.toSorted()).toEqual([
      'bf16.safetensors < nothing',
      'bytes typed over < bytes',
      'checkpoints/step-2 < nothing',
      'checkpoints/step-3 < nothing',
      'copy of step-2 < nothing',
      'noise of noise < nothing',
      'wide tuned < nothing',
    ])
    const store = await openStore(
      {kind: 'directory', path: 'test/fixtures/format-1/store'},
      {clock: systemClock},
    )
    const [plain, leaning] = await Promise.all(
      [snapshots[0], snapshots[2]].map((snapshot) =>
        showSnapshot({snapshot: snapshot ?? ''}, {stateDir: '/nonexistent', store}),
      ),
    )
    expect(plain?.differing).toEqual([])
    expect(leaning?.differing).toEqual(files)
    await store.close()
  })
})

test('the summary tells what differences have saved', () => {
  expect(describeDifferences({alone: 300e6, raw: 400e6, stored: 88e6})).toBe(
    '400 MB as differences: saved 212 MB',
  )
})
