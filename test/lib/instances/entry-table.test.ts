import {describe, expect, test} from '@jest/globals'
import {EntryTable, type DiskFacts} from '../../../src/lib/instances/entry-table.js'

const FILE: DiskFacts = {gid: 0, kind: 'file', mode: 0o644, mtime: 5n, size: 3, target: '', uid: 0}

function table(...entries: readonly (readonly [string, DiskFacts])[]) {
  const made = new EntryTable(entries.length)
  for (const [path, facts] of entries) made.enter(0, path, facts)
  return made
}

describe('a listing compared with the entries', () => {
  test('finds each once', () => {
    const made = table(['a', FILE], ['b', FILE])
    expect(made.look(0, 'a', FILE)).toBe('same')
    expect(made.look(0, 'a', FILE)).toBe('again')
    expect(made.look(0, 'c', FILE)).toBe('none')
    expect(made.look(1, 'a', FILE)).toBe('none')
    expect([made.wasSeen(0, 'a'), made.wasSeen(0, 'b')]).toEqual([true, false])
  })
  test.each([{gid: 1}, {kind: 'fifo'}, {mode: 0o600}, {mtime: 6n}, {size: 4}, {uid: 1}] as const)(
    'sees a difference of %o',
    (change) => {
      expect(table(['a', FILE]).look(0, 'a', {...FILE, ...change})).toBe('other')
    },
  )
  test('sees another target of a link, and nothing in its mode', () => {
    const link: DiskFacts = {...FILE, kind: 'symlink', target: 'x'}
    expect(table(['a', link]).look(0, 'a', {...link, target: 'y'})).toBe('other')
    expect(table(['a', link]).look(0, 'a', {...link, mode: 0o777, size: 1})).toBe('same')
  })
  test('does not mind the time of a directory', () => {
    const dir: DiskFacts = {...FILE, kind: 'dir'}
    expect(table(['a', dir]).look(0, 'a', {...dir, mtime: 9n, size: 4096})).toBe('same')
  })
  test('holds twenty thousand', () => {
    const made = new EntryTable(20_000)
    for (let n = 0; n < 20_000; n += 1) made.enter(0, `f${n}`, {...FILE, size: n})
    for (let n = 0; n < 20_000; n += 1)
      if (made.look(0, `f${n}`, {...FILE, size: n}) !== 'same') throw new Error(`f${n} is lost`)
  })
  test('refuses more entries than the manifest says', () => {
    const made = table(['a', FILE])
    expect(() => made.enter(0, 'b', FILE)).toThrow(/more entries/)
  })
})
