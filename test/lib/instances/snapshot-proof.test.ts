import {describe, expect, test} from '@jest/globals'
import type {Entry} from '../../../src/lib/format/entry.js'
import type {IndexLine} from '../../../src/lib/format/index-reader.js'
import type {Manifest} from '../../../src/lib/format/manifest.js'
import {proveWhole} from '../../../src/lib/instances/snapshot-proof.js'
import {SampleChoice} from '../../../src/lib/instances/sample-choice.js'
import {proveWayBack} from '../../../src/lib/instances/way-back.js'
import type {Instance, Provider} from '../../../src/lib/providers/provider.js'
import {manifestOf} from '../snapshots/manifest-of.js'

const {manifest: WHOLE} = manifestOf('20261123T140200Z-golden')
const entry = (name: string, changes: Partial<Entry> = {}) =>
  ({
    extents: [],
    kind: 'file',
    mtime: 0n,
    path: Buffer.from(name),
    root: 0,
    size: 1,
    torn: false,
    ...changes,
  }) as unknown as Entry

async function* lines(...entries: readonly Entry[]): AsyncGenerator<IndexLine> {
  for (const one of entries) yield {entry: one, sort: 'entry'} as IndexLine
}

const warned = (code: string, count = 1): Manifest['warnings'] => ({
  count,
  first: [{code, message: 'm', path: 'p'}],
})

describe('a snapshot that lacks something', () => {
  test.each<[string, Partial<Manifest>, Entry]>([
    ['a torn entry that the manifest does not count', {}, entry('a', {torn: true})],
    ['torn files that the index does not mark', {counts: {...WHOLE.counts, torn: 1}}, entry('a')],
    ['unreadable files', {counts: {...WHOLE.counts, unreadable: 1}}, entry('a')],
    ['a warning', {warnings: warned('vanished')}, entry('a')],
    ['more warnings than it names', {warnings: warned('mount', 2)}, entry('a')],
  ])('is refused for %s', async (_what, changes, one) => {
    expect(await proveWhole({...WHOLE, ...changes}, lines(one))).toMatchObject([{rule: 'torn'}])
  })
  test('leaves skipped mounts to the census', async () => {
    expect(await proveWhole({...WHOLE, warnings: warned('mount')}, lines(entry('a')))).toEqual([])
  })
})

describe('the way back', () => {
  const back = async (
    changes: Partial<Manifest>,
    {account = 'me', image = 'pytorch', acceptGpuOnly = false, name = 'vast'} = {},
  ) => {
    const provider = {name, whoami: async () => ({account})} as unknown as Provider
    const instance = {
      spec: {envNames: [], ...(image !== '' && {image})},
    } as unknown as Instance
    const {refusals} = await proveWayBack(
      {...WHOLE, ...changes},
      {acceptGpuOnly, account: 'me', instance, provider},
    )
    return refusals.map(({message}) => message)
  }
  test('is open with portable decoders, an image and the same account', async () => {
    expect(await back({decoders: ['planes2', 'zstd']})).toEqual([])
  })
  test('is closed by a decoder that needs a GPU, unless that was accepted', async () => {
    const library = {distribution: 'nvcomp', name: 'nvcomp-ans-6', version: '6', wheels: []}
    const nvidia = {libraries: [library]}
    expect(await back({decoders: ['ans']})).toEqual([expect.stringContaining('NVIDIA GPU')])
    expect(await back({nvidia})).toEqual([expect.stringContaining('NVIDIA GPU')])
    expect(await back({decoders: ['ans'], nvidia}, {acceptGpuOnly: true})).toEqual([])
  })
  test('is closed for a container of an unknown image', async () => {
    expect(await back({}, {image: ''})).toEqual([expect.stringContaining('which image')])
    expect(await back({}, {image: '', name: 'lambda'})).toEqual([])
  })
  test('is closed when the key changed hands', async () => {
    expect(await back({}, {account: 'you'})).toEqual([expect.stringContaining('another account')])
  })
})

describe('the sample', () => {
  test('holds the largest and the newest of many, and stretches of large ones within them', () => {
    const choice = new SampleChoice(() => 0.5, 4)
    for (let n = 0; n < 1000; n += 1)
      choice.offer(entry(`f${n}`, {mtime: BigInt(n % 500), size: n}))
    choice.offer(entry('huge', {size: 100_000_000}))
    choice.offer(entry('dir', {kind: 'dir'}))
    const pieces = choice.pieces()
    const names = pieces.map((piece) => String(piece.entry.path))
    expect(names).toEqual(expect.arrayContaining(['huge', 'f999', 'f993', 'f499']))
    expect(pieces.length).toBeLessThanOrEqual(20)
    for (const {
      entry: {size},
      length,
      offset,
    } of pieces)
      expect(offset + length).toBeLessThanOrEqual(size)
    expect(pieces[0]).toMatchObject({
      length: 4_194_304,
      offset: Math.floor((100_000_000 - 4_194_304 + 1) / 2),
    })
  })
})
