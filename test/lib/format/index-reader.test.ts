import {gunzipSync, gzipSync} from 'node:zlib'
import {describe, expect, it} from '@jest/globals'
import {type IndexLine, readIndex, summarise} from '../../../src/lib/format/index-reader.js'
import type {PackRecord} from '../../../src/lib/format/pack-list.js'

// oxlint-disable-next-line typescript/no-explicit-any -- lines are spoiled on purpose
type Line = Record<string, any>

const SNAPSHOT = '20261123T140200Z-k3f7qz'
const PACKS: PackRecord[] = [0, 1].map((n) => ({
  key: `packs/${SNAPSHOT}/0-${n}-a`,
  length: 1000,
  pin: {kind: 'crc32', value: 'AAAAAA=='},
}))

function good(): Line[] {
  const common = {root: 0, mode: 0o755, uid: 0, gid: 0, user: 'root', mtime: '1'}
  const dir = {entry: 'dir', ...common}
  const file = {entry: 'file', ...common, size: 100, hash: '00'.repeat(32)}
  const chunk = {raw: 100, stored: 90, frame: 'cd'.repeat(32), codec: 'zstd'}
  const stat = {ctime: '1', ino: '2', dev: '3', fs: '4'}
  return [
    {kind: 'index', format: 1, snapshot: SNAPSHOT, segment: 0, cutter: 1, scannedAt: '5'},
    {...dir, path: ''},
    {chunk: 0, hash: '01'.repeat(32), ...chunk, pack: 0, at: 0, transform: 'planes2'},
    {...file, path: 'a', extents: [[0, 0, 0, 100]], stat},
    {...dir, path: 'b'},
    {
      chunk: 1,
      hash: '02'.repeat(32),
      ...chunk,
      pack: 1,
      at: 90,
      transform: 'none',
      delta: {op: 'xor', base: 0},
    },
    {...file, path: 'b/c', extents: [[50, 1, 10, 50]]},
    {...file, path: 'b/d', extents: [[50, 1, 10, 50]], link: {root: 0, path: 'b/c'}},
    {entry: 'fifo', ...common, path: 'b-'},
    {...file, root: 1, path: '', extents: [[0, 0, 0, 100]]},
    {...common, root: 2, path: '', entry: 'char', device: [1, 3]},
    {...common, root: 3, path: '', entry: 'symlink', target: {b64: 'Li7/'}},
  ]
}

function pack(lines: readonly unknown[]): Buffer {
  return gzipSync(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
}

async function read(segments: Uint8Array[], packs = PACKS): Promise<IndexLine[]> {
  const lines: IndexLine[] = []
  for await (const line of readIndex(segments, {snapshot: SNAPSHOT, packs})) lines.push(line)
  return lines
}

const damaged = {code: 'INTEGRITY'}

describe('an index', () => {
  it('gives its chunks and entries in order', async () => {
    const sorts = (await read([pack(good())])).map(({sort}) => sort)
    expect(sorts.join(' ')).toBe(
      'entry chunk entry entry chunk entry entry entry entry entry entry',
    )
  })

  it('is summed up with what each pack must give', async () => {
    const lines = good()
    lines.splice(6, 0, {...lines[5], chunk: 2, hash: '03'.repeat(32), at: 180, delta: undefined})
    lines.splice(7, 0, {...lines[6], chunk: 3, hash: '04'.repeat(32), at: 500})
    const summary = await summarise(readIndex([pack(lines)], {snapshot: SNAPSHOT}))
    expect(summary).toMatchObject({entries: 9, chunks: 4, raw: 400, stored: 360})
    expect(summary.decoders).toEqual(['planes2', 'xor', 'zstd'])
    expect([...summary.used]).toEqual([
      [0, [[0, 90]]],
      [
        1,
        [
          [90, 270],
          [500, 590],
        ],
      ],
    ])
  })

  it('may hold lines of later releases only as far as it knows them', async () => {
    const lines = good()
    Object.assign(lines[3] ?? {}, {colour: 'red'})
    expect(await read([pack(lines)])).toHaveLength(11)
  })

  it('may come in many segments', async () => {
    const [header, ...lines] = good()
    const halves = [lines.slice(0, 4), lines.slice(4)].map((half, segment) =>
      pack([{...header, segment}, ...half]),
    )
    expect(await read(halves)).toEqual(await read([pack(good())]))
    await expect(read(halves.toReversed())).rejects.toThrow('another segment than asked for')
    await expect(read(halves.slice(1))).rejects.toThrow('another segment than asked for')
    const other = pack([{...header, segment: 1, scannedAt: '6'}, ...lines.slice(4)])
    await expect(read([halves[0] ?? other, other])).rejects.toThrow('different scans')
  })

  it('is not empty', async () => {
    await expect(read([])).rejects.toMatchObject(damaged)
  })

  it('names the segment that is damaged', async () => {
    const lines = good()
    Object.assign(lines[4] ?? {}, {path: '..'})
    await expect(read([pack(lines)])).rejects.toThrow(`index/${SNAPSHOT}/0: a path leaves its root`)
  })

  it('of a newer format is refused as such', async () => {
    const [header, ...lines] = good()
    await expect(read([pack([{...header, format: 2}, ...lines])])).rejects.toMatchObject({
      code: 'FORMAT_NEWER',
    })
  })
})

const LIES: Record<string, (lines: Line[]) => unknown> = {
  'another snapshot': ([header]) => set(header, {snapshot: '20261123T140200Z-aaaaaa'}),
  'another kind': ([header]) => set(header, {kind: 'packs'}),
  'no format': ([header]) => set(header, {format: undefined}),
  'true for a format': ([header]) => set(header, {format: true}),
  'false for a segment number': ([header]) => set(header, {segment: false}),
  'no scan time': ([header]) => set(header, {scannedAt: undefined}),
  'no cutter': ([header]) => set(header, {cutter: undefined}),
  'no header': (lines) => lines.shift(),
  'a line that is a list': (lines) => lines.push([]),
  'a chunk number that jumps': (lines) => set(lines[5], {chunk: 2}),
  'a chunk number again': (lines) => set(lines[5], {chunk: 0}),
  'true for a chunk number': (lines) => set(lines[5], {chunk: true}),
  'the same chunk twice': (lines) => set(lines[5], {hash: '01'.repeat(32)}),
  'a chunk outside its pack': (lines) => set(lines[2], {at: 911}),
  'a chunk in an unlisted pack': (lines) => set(lines[5], {pack: 2}),
  'a listed pack that is not named': (lines) => set(lines[5], {pack: 0}),
  'a chunk longer than any': (lines) => set(lines[2], {raw: 4_194_305}),
  'an empty chunk': (lines) => set(lines[2], {raw: 0}),
  'a frame longer than its chunk': (lines) => set(lines[2], {stored: 189}),
  'a frame shorter than its header': (lines) => set(lines[2], {stored: 56}),
  'a chunk behind the end of any pack': (lines) => set(lines[2], {at: 33_554_400}),
  'an unknown transform': (lines) => set(lines[2], {transform: 'planes3'}),
  'an unknown codec': (lines) => set(lines[2], {codec: 'toString'}),
  'an unknown delta': (lines) => set(lines[5], {delta: {op: 'none', base: 0}}),
  'a delta of itself': (lines) => set(lines[5], {delta: {op: 'xor', base: 1}}),
  'an ordered delta of bytes': (lines) => set(lines[5], {delta: {op: 'ordered', base: 0}}),
  'a delta of a later chunk': (lines) => set(lines[5], {delta: {op: 'xor', base: 2}}),
  'a delta of a delta': (lines) =>
    lines.splice(6, 0, {
      ...lines[5],
      chunk: 2,
      hash: '03'.repeat(32),
      at: 180,
      delta: {op: 'xor', base: 1},
    }),
  'a delta of a longer chunk': (lines) => set(lines[2], {raw: 101}),
  'an extent of a later chunk': (lines) => set(lines[3], {extents: [[0, 1, 0, 100]]}),
  'an extent outside its chunk': (lines) => set(lines[3], {extents: [[0, 0, 1, 100]]}),
  'extents that overlap': (lines) =>
    set(lines[3], {
      extents: [
        [0, 0, 0, 9],
        [8, 0, 0, 1],
      ],
    }),
  'extents out of order': (lines) =>
    set(lines[3], {
      extents: [
        [9, 0, 0, 9],
        [0, 0, 0, 1],
      ],
    }),
  'an extent behind the end': (lines) => set(lines[3], {extents: [[1, 0, 0, 100]]}),
  'an empty extent': (lines) => set(lines[3], {extents: [[1, 0, 0, 0]]}),
  'a negative extent': (lines) => set(lines[3], {extents: [[-1, 0, 0, 1]]}),
  'an extent of three numbers': (lines) => set(lines[3], {extents: [[0, 0, 1]]}),
  'an extent with true': (lines) => set(lines[3], {extents: [[0, 0, 0, true]]}),
  'extents of a directory': (lines) => set(lines[1], {extents: []}),
  'paths out of order': (lines) => set(lines[4], {path: '0'}),
  'a path twice': (lines) => set(lines[4], {path: 'a'}),
  'a path without its directory': (lines) => lines.splice(4, 1),
  'a path below a file': (lines) => set(lines[4], {path: 'a/b'}),
  'a path below a symlink': (lines) => set(lines[4], {entry: 'symlink', target: '/etc'}),
  'a root out of turn': (lines) => set(lines[9], {root: 2}),
  'a root that goes back': (lines) => lines.push({...lines[4], path: 'z'}),
  'a root without itself': (lines) => set(lines[9], {path: 'x'}),
  'a link to nothing': (lines) => set(lines[7], {link: {root: 0, path: 'b/e'}}),
  'a link to a later member': (lines) => set(lines[6], {link: {root: 0, path: 'b/d'}}),
  'a link to a directory': (lines) => set(lines[7], {link: {root: 0, path: 'b'}}),
  'a link to a link': (lines) =>
    lines.splice(8, 0, {...lines[7], path: 'b/e', link: {root: 0, path: 'b/d'}}),
  'a link of other content': (lines) => set(lines[7], {hash: '11'.repeat(32)}),
  'a link of other metadata': (lines) => set(lines[7], {mode: 0o777}),
  'a link of other extents': (lines) => set(lines[7], {extents: [[50, 1, 11, 50]]}),
  'a link in another root': (lines) => set(lines[7], {link: {root: 1, path: 'b/c'}}),
  'a link of a directory': (lines) => set(lines[4], {link: {root: 0, path: 'a'}}),
  'null for a link': (lines) => set(lines[3], {link: null}),
  'a negative size': (lines) => set(lines[3], {size: -1}),
  'a size beyond 2^53': (lines) => set(lines[3], {size: 2 ** 63}),
  'a size of a directory': (lines) => set(lines[1], {size: 0}),
  'true for a size': (lines) => set(lines[3], {size: true}),
  'a mode that is too large': (lines) => set(lines[3], {mode: 0o10000}),
  'a user id that is too large': (lines) => set(lines[3], {uid: 2 ** 32}),
  'a time that is a number': (lines) => set(lines[3], {mtime: 1}),
  'a time with a zero before it': (lines) => set(lines[3], {mtime: '01'}),
  'minus zero': (lines) => set(lines[3], {mtime: '-0'}),
  'an unknown sort of entry': (lines) => set(lines[3], {entry: 'socket'}),
  'no sort of entry': (lines) => set(lines[3], {entry: undefined}),
  'no hash': (lines) => set(lines[3], {hash: undefined}),
  'a hash in capitals': (lines) => set(lines[3], {hash: 'AB'.repeat(32)}),
  'xattrs out of order': (lines) =>
    set(lines[3], {
      xattrs: [
        ['b', ''],
        ['a', ''],
      ],
    }),
  'an xattr twice': (lines) =>
    set(lines[3], {
      xattrs: [
        ['a', ''],
        ['a', ''],
      ],
    }),
  'an xattr without a name': (lines) => set(lines[3], {xattrs: [['', '']]}),
  'an xattr that is not base64': (lines) => set(lines[3], {xattrs: [['a', '%']]}),
  'torn as a number': (lines) => set(lines[3], {torn: 1}),
  'half a stat': (lines) => set(lines[3], {stat: {ctime: '1'}}),
  'a symlink without target': (lines) => set(lines[11], {target: ''}),
  'a target of a file': (lines) => set(lines[3], {target: 'x'}),
  'a device of one number': (lines) => set(lines[10], {device: [1]}),
  'a device with a huge number': (lines) => set(lines[10], {device: [1, 2 ** 32]}),
  'no device': (lines) => set(lines[10], {device: undefined}),
}

function set(line: Line | undefined, changes: Line): void {
  if (!line) throw new Error('no such line')
  Object.assign(line, changes)
}

describe('a lying index is refused:', () => {
  it.each(Object.keys(LIES))('%s', async (name) => {
    const lines = good()
    LIES[name]?.(lines)
    await expect(read([pack(lines)])).rejects.toMatchObject(damaged)
  })
})

describe('a chunk of a sealed pack', () => {
  const sealed = PACKS.map((one) => ({...one, seal: Buffer.alloc(72).toString('base64')}))
  const placed = (at: number, stored: number) => {
    const lines = good()
    for (const line of lines) if ('chunk' in line) set(line, {at: 128, stored: 190})
    set(lines[2], {at, stored})
    return pack(lines)
  }

  it('lies behind the header, and is longer than its frame by a tag at most', async () => {
    await expect(read([placed(128, 204)], sealed)).resolves.not.toHaveLength(0)
    await expect(read([placed(127, 204)], sealed)).rejects.toMatchObject(damaged)
    await expect(read([placed(128, 205)], sealed)).rejects.toMatchObject(damaged)
  })
})

describe('a path is refused as such:', () => {
  it.each([
    ...['..', 'a/../b', '/etc/passwd', 'b//c', 'b/', '.', './b', 'b/.'],
    ...[{b64: 'Li4v/w=='}, {b64: '/y8u'}],
  ])('%j', async (path) => {
    const lines = good()
    lines.push({...lines[4], root: 3, path})
    await expect(read([pack(lines)])).rejects.toThrow('a path leaves its root')
  })

  it('that is out of order', async () => {
    const lines = good()
    lines.push(...['', 'b', 'a'].map((path) => ({...lines[4], root: 4, path})))
    await expect(read([pack(lines)])).rejects.toThrow('entries are not in path order')
  })

  it.each(['b/c\0', 3, null, undefined, ['b']])('%j', async (path) => {
    const lines = good()
    lines.push({...lines[4], root: 3, path})
    await expect(read([pack(lines)])).rejects.toThrow(/byte string/)
  })
})

describe('a damaged segment is refused:', () => {
  const whole = pack(good())
  const text = gunzipSync(whole).toString()
  it.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['three bytes', whole.subarray(0, 3)],
    ['a cut end', whole.subarray(0, -1)],
    ['a lost trailer', whole.subarray(0, -8)],
    ['no gzip', Buffer.from(text)],
    ['bytes behind it', Buffer.concat([whole, Buffer.from('more')])],
    ['zeros behind it', Buffer.concat([whole, Buffer.alloc(8)])],
    ['two of it', Buffer.concat([whole, whole])],
    ['a last line without its end', gzipSync(text.trimEnd())],
    ['an empty text', gzipSync('')],
    ['an empty line', gzipSync(text.replace('\n', '\n\n'))],
    ['bytes that are not UTF-8', gzipSync(Buffer.concat([Buffer.from(text), Buffer.of(0xff, 10)]))],
  ])('%s', async (_, segment) => {
    await expect(read([segment])).rejects.toMatchObject(damaged)
  })

  it('a bomb, before it has gone off', async () => {
    await expect(read([gzipSync(Buffer.alloc(100 * 2 ** 20))])).rejects.toThrow('too long')
  })
})
