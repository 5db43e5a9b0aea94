import {describe, expect, it} from '@jest/globals'
import {
  encodeManifest,
  type Manifest,
  manifestKey,
  parseManifest,
} from '../../../src/lib/format/manifest.js'
import {manifestOf, object, snapshots} from './golden.js'

const [first = '', second = ''] = snapshots
const GOOD = manifestOf(second)
const KEY = manifestKey(second)

function parse(value: unknown, key = KEY): Manifest {
  return parseManifest(Buffer.from(JSON.stringify(value)), key)
}

function changed(path: string, value: unknown): unknown {
  const copy = structuredClone(GOOD) as unknown as Record<string, unknown>
  const names = path.split('.')
  const last = names.pop() ?? ''
  let place = copy
  for (const name of names) place = place[name] as Record<string, unknown>
  if (value === undefined) delete place[last]
  else place[last] = value
  return copy
}

it.each(snapshots)('of %s comes back as it was', (snapshot) => {
  const manifest = manifestOf(snapshot)
  expect(JSON.parse(object(manifestKey(snapshot)).toString())).toEqual(manifest)
  expect(parseManifest(encodeManifest(manifest), manifestKey(snapshot))).toEqual(manifest)
})

describe('reading a manifest', () => {
  it('ignores fields of later releases', () => {
    expect(parse({...GOOD, colour: 'red'})).toEqual(GOOD)
  })

  it('names the format of a newer one', () => {
    expect(() => parse({...GOOD, format: 2, id: 'anything'})).toThrow(
      expect.objectContaining({code: 'FORMAT_NEWER', message: expect.stringContaining('format 2')}),
    )
  })

  it.each([
    ['format', 0],
    ['format', '2'],
    ['format', true],
    ['id', first],
    ['id', '../etc'],
    ['lineage', 'F0'.repeat(16)],
    ['sequence', 0],
    ['sequence', 1.5],
    ['sequence', 1],
    ['parent', 'x'],
    ['parent.sha256', ''],
    ['parent.id', second],
    ['created', 'yesterday'],
    ['label', 7],
    ['host.box', '5e'],
    ['host.cpus', -1],
    ['host.gpus', {}],
    ['roots', []],
    ['roots', [{path: '/workspace', type: 'fifo'}]],
    ['roots', [{path: {b64: '%'}, type: 'dir'}]],
    ['rules.excludeCaches', 1],
    ['counts.files', '3'],
    ['counts.files', 2 ** 53],
    ['bytes.codecs', {'planes2/zstd': {raw: 1}}],
    ['seconds.total', -1],
    ['index.segments', []],
    ['index.segments', [{...GOOD.index.packs}]],
    ['index.packs.key', `index/${first}/packs`],
    ['index.groups', {...GOOD.index.packs}],
    ['index.groups', null],
    ['bytes.parity', -1],
    ['index.packs.sha256', 'x'],
    ['index.merkle', 'ab'],
    ['decoders', [1]],
    ['warnings', {count: 1}],
    ['versions', {dumont: 1}],
  ])('refuses %s %j', (path, value) => {
    expect(() => parse(changed(path, value))).toThrow(
      expect.objectContaining({code: 'INTEGRITY', message: expect.stringContaining(KEY)}),
    )
  })

  it.each(Object.keys(GOOD))('refuses one without %s', (name) => {
    expect(() => parse(changed(name, undefined))).toThrow(
      expect.objectContaining({code: 'INTEGRITY'}),
    )
  })

  it.each([
    ['nothing', ''],
    ['null', 'null'],
    ['a list', '[]'],
    ['half of it', JSON.stringify(GOOD).slice(0, 500)],
    ['a byte-order mark', `\uFEFF${JSON.stringify(GOOD)}`],
  ])('refuses %s', (_, text) => {
    expect(() => parseManifest(Buffer.from(text), KEY)).toThrow(
      expect.objectContaining({code: 'INTEGRITY'}),
    )
  })

  it('refuses bytes that are not UTF-8', () => {
    const bytes = Buffer.from(encodeManifest(GOOD))
    bytes[bytes.indexOf('golden') + 1] = 0xff
    expect(() => parseManifest(bytes, KEY)).toThrow(expect.objectContaining({code: 'INTEGRITY'}))
  })

  it('refuses one that was stored under another key', () => {
    expect(() => parse(GOOD, manifestKey(first))).toThrow('it names another snapshot than its key')
  })

  it('refuses what is longer than 64 KiB', () => {
    const bytes = Buffer.concat([encodeManifest(GOOD), Buffer.alloc(65_536, ' ')])
    expect(() => parseManifest(bytes, KEY)).toThrow('longer than a manifest may be')
  })

  it('shows no control characters of a damaged manifest', () => {
    expect(() => parse(changed('created', '\u001B[2J'))).toThrow(
      expect.objectContaining({message: expect.not.stringContaining('\u001B')}),
    )
  })
})

describe('writing a manifest', () => {
  it('refuses more than 8 KiB', () => {
    expect(() =>
      encodeManifest({
        ...GOOD,
        label: 'x'.repeat(4000),
        decoders: Array.from({length: 2000}, () => 'zstd'),
      }),
    ).toThrow(RangeError)
  })

  it('lets the list of segments be longer, up to 64 KiB in all', () => {
    const segment = (n: number) => ({
      key: `index/${second}/${n}`,
      length: 1,
      sha256: 'ab'.repeat(32),
    })
    const withSegments = (length: number): Manifest => ({
      ...GOOD,
      index: {...GOOD.index, segments: Array.from({length}, (_, n) => segment(n))},
    })
    expect(parseManifest(encodeManifest(withSegments(300)), KEY).index.segments).toHaveLength(300)
    expect(() => encodeManifest(withSegments(600))).toThrow(RangeError)
  })

  it('refuses what no reader would take', () => {
    expect(() => encodeManifest(changed('sequence', 0) as Manifest)).toThrow(RangeError)
    expect(() => encodeManifest(changed('index.packs.key', 'index/x/packs') as Manifest)).toThrow(
      RangeError,
    )
  })
})
