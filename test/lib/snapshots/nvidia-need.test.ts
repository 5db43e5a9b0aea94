import {describe, expect, test} from '@jest/globals'
import {joinNvidia, withNvcomp} from '../../../src/lib/snapshots/nvidia-need.js'
import type {BoxService, Equip} from '../../../src/lib/snapshots/service.js'

const LIBRARY = {
  distribution: 'nvidia-nvcomp-cu12',
  name: 'nvcomp-ans-6',
  version: '6.0.0.12',
  wheels: ['a'.repeat(64)],
}
const plain: Equip = async () => ({argv: ['plain']})
const service = {equip: plain} as unknown as BoxService
const equipped = async (one: BoxService) => (await one.equip({} as never)).argv

describe('what ANS chunks need', () => {
  test('is nothing where there are none, whatever libraries were at hand', () => {
    expect(joinNvidia(['planes2', 'zstd'], [LIBRARY])).toBeNull()
  })
  test('names each library once', () => {
    expect(joinNvidia(['ans'], [LIBRARY, {...LIBRARY}])).toEqual({libraries: [LIBRARY]})
  })
  test('keeps those of other versions apart', () => {
    const other = {...LIBRARY, version: '6.0.1.0'}
    expect(joinNvidia(['ans'], [LIBRARY, other])?.libraries).toEqual([LIBRARY, other])
  })
})

describe('nvCOMP on a box', () => {
  const able = {
    ...service,
    equipNvcomp:
      (need: string): Equip =>
      async () => ({argv: [need]}),
  }
  test('is looked for as strongly as it is needed', async () => {
    expect(await equipped(withNvcomp(able, 'required', 'x'))).toEqual(['required'])
    expect(await equipped(withNvcomp(able, 'wanted', 'x'))).toEqual(['wanted'])
    expect(await equipped(withNvcomp(able, undefined, 'x'))).toEqual(['plain'])
  })
  test('that is forbidden is done without where it is only wanted', async () => {
    expect(await equipped(withNvcomp(service, 'wanted', 'x'))).toEqual(['plain'])
  })
  test('that is forbidden is refused where it is required, with what to change', () => {
    expect(() => withNvcomp(service, 'required', '--codec ans')).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        hint: expect.stringContaining('--no-gpu'),
        message: expect.stringContaining('--codec ans'),
      }),
    )
  })
})
