import {gzipSync} from 'node:zlib'
import {expect, it} from '@jest/globals'
import {parsePackList} from '../../../src/lib/format/pack-list.js'

const SNAPSHOT = '20261123T140200Z-k3f7qz'
const HEADER = {kind: 'packs', format: 1, snapshot: SNAPSHOT}
const FIRST = {
  pack: 0,
  key: `packs/${SNAPSHOT}/0-0-a`,
  length: 1000,
  pin: {kind: 'crc32', value: 'AAAAAA=='},
}
const SECOND = {
  pack: 1,
  key: 'packs/20251123T140200Z-aaaaaa/31-12-x9',
  length: 33_554_432,
  pin: {kind: 'md5', value: `${'A'.repeat(22)}==`},
}

function list(...lines: unknown[]): Buffer {
  return gzipSync(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
}

it('gives the packs in order', async () => {
  const packs = await parsePackList(list(HEADER, FIRST, SECOND), SNAPSHOT)
  expect(packs).toEqual([FIRST, SECOND].map(({key, length, pin}) => ({key, length, pin})))
})

it('may be empty', async () => {
  expect(await parsePackList(list(HEADER), SNAPSHOT)).toEqual([])
})

it.each<Record<string, unknown>>([
  {pack: 1},
  {pack: false},
  {key: SECOND.key},
  {key: 'packs/../../etc'},
  {key: `${FIRST.key}/b`},
  {key: `${FIRST.key}\n`},
  {key: null},
  {length: 0},
  {length: 33_554_433},
  {length: true},
  {length: -1},
  {pin: null},
  {pin: {kind: 'sha1', value: 'AAAAAA=='}},
  {pin: {kind: ['md5'], value: 'AAAAAA=='}},
  {pin: {kind: 'crc32', value: 'AAAA'}},
  {pin: {kind: 'md5', value: 'AAAAAA=='}},
  {pin: {kind: 'crc32', value: 'AAAAAA'}},
])('with %j is refused by its name', async (changes) => {
  await expect(
    parsePackList(list(HEADER, {...FIRST, ...changes}, SECOND), SNAPSHOT),
  ).rejects.toMatchObject({
    code: 'INTEGRITY',
    message: expect.stringContaining(`index/${SNAPSHOT}/packs: `),
  })
})

it('of another snapshot is refused', async () => {
  const other = {...HEADER, snapshot: '20261123T140200Z-aaaaaa'}
  await expect(parsePackList(list(other, FIRST), SNAPSHOT)).rejects.toThrow('another snapshot')
})

it('of a newer format is refused as such', async () => {
  await expect(parsePackList(list({...HEADER, format: 3}), SNAPSHOT)).rejects.toMatchObject({
    code: 'FORMAT_NEWER',
  })
})
