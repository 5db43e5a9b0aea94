import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import type {Manifest} from '../../../src/lib/format/manifest.js'
import type {ConnectedBox} from '../../../src/lib/snapshots/connect-worker.js'
import {surveyManifests} from '../../../src/lib/snapshots/manifests.js'
import {checkDecoders, isForeign} from '../../../src/lib/snapshots/nvidia-need.js'
import {benchTop, type BenchTop} from './bench-top.js'
import {manifestOf} from './manifest-of.js'

const library = (version: string, name = 'nvcomp-ans-6') => ({
  distribution: 'nvidia-nvcomp-cu12',
  name,
  version,
})
const OLD = library('5.3.0.16', 'nvcomp-ans-5.3')
const OURS = library('6.0.0.12')
const TWO = {a: 'apple', b: 'banana'}
const LATER = library('6.0.1.0')

describe('a create on top of ANS chunks', () => {
  let bench: BenchTop
  let parents: unknown[]
  beforeEach(async () => {
    parents = []
    bench = await benchTop()
  })
  afterEach(() => bench.remove())

  /** A create whose own chunks are ANS of that library; those inherited are what they were. */
  const coded = async (nvidia: typeof OURS | undefined, files: Record<string, string> = TWO) => {
    bench.bends.files = files
    bench.bends.onCreate = async (_, {parent}) => void parents.push(parent?.ans)
    bench.bends.indexLines = (lines) =>
      lines.map((line) => ('chunk' in line ? {...line, codec: 'ans'} : line))
    bench.bends.result = (result) => ({...result, decoders: ['ans'], ...(nvidia && {nvidia})})
    await bench.create({codec: 'zstd'})
    const {readable} = await surveyManifests(bench.store.inner)
    return readable.map(({manifest}) => manifest).toSorted((a, b) => a.sequence - b.sequence)
  }
  const versions = (manifest: Manifest | undefined) =>
    manifest?.nvidia?.libraries.map(({version}) => version)

  test('leans on those of the generation that this release reads, and names both libraries', async () => {
    await coded(OURS)
    const made = await coded(LATER, {...TWO, c: 'cherry'})
    expect(parents).toEqual([undefined, undefined])
    expect(versions(made.at(-1))?.toSorted()).toEqual(['6.0.0.12', '6.0.1.0'])
  })

  test('has those of another generation stored again, so that one box can read it all', async () => {
    await coded(OLD)
    await coded(OURS, {...TWO, c: 'cherry'})
    expect(parents).toEqual([undefined, false])
  })

  test('names no library of which nothing was inherited', async () => {
    await coded(OURS)
    const made = await coded(LATER, {c: 'cherry'})
    expect(versions(made.at(-1))).toEqual(['6.0.1.0'])
  })

  test('is refused where the worker does not say what decodes its own', async () => {
    await coded(OURS)
    expect((await coded(undefined)).at(-1)?.nvidia).not.toBeNull()
    await expect(coded(undefined, {d: 'date'})).rejects.toThrow('ANS chunks without a word')
  })
})

describe('a box that lacks a decoder', () => {
  const box = (capabilities: readonly string[]) =>
    ({
      equipment: {},
      session: {label: 'gpu1'},
      worker: {hello: {capabilities}},
    }) as unknown as ConnectedBox
  const needs = (...libraries: readonly (typeof OURS)[]) =>
    ({
      ...manifestOf('20261123T140200Z-k3f7qz').manifest,
      decoders: ['ans', 'zstd'],
      nvidia: {libraries: libraries.map((one) => ({...one, wheels: []}))},
    }) satisfies Manifest
  const able = ['ans', 'nvcomp-ans-6', 'zstd']

  test('is let through when it has every one', () => {
    expect(() => checkDecoders(needs(OURS, LATER), box(able))).not.toThrow()
  })

  test('is told which generation is missing, and which release has it', () => {
    expect(() => checkDecoders(needs(OURS, OLD), box(able))).toThrow(
      expect.objectContaining({
        code: 'BOX_UNSUITABLE',
        hint: expect.stringMatching(/nvCOMP 6\.0\.0\.12 and 5\.3\.0\.16.*with dumont /u),
        message: expect.stringMatching(/lacks nvcomp-ans-5\.3$/u),
      }),
    )
  })

  test('is told to transcode where only the GPU is missing', () => {
    expect(() => checkDecoders(needs(OURS), box(['zstd']))).toThrow(
      expect.objectContaining({hint: expect.stringContaining('dumont snapshot transcode')}),
    )
  })
})

test.each([
  [null, false],
  [{libraries: []}, false],
  [{libraries: [OURS]}, false],
  [{libraries: [LATER, OURS]}, false],
  [{libraries: [OURS, OLD]}, true],
  [{libraries: [library('6.1.0.1', 'nvcomp-ans-6.1')]}, true],
  [{libraries: [library('60.0.0.1', 'nvcomp-ans-60')]}, true],
])('of another generation is what shares not major and minor version', (nvidia, expected) => {
  expect(isForeign(nvidia as Manifest['nvidia'])).toBe(expected)
})
