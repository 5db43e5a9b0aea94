import {gzipSync} from 'node:zlib'
import {expect, it} from '@jest/globals'
import {parseGroupList} from '../../../src/lib/format/group-list.js'

const SNAPSHOT = '20261123T140200Z-k3f7qz'
const HEADER = {kind: 'groups', format: 1, snapshot: SNAPSHOT}
const PIN = {kind: 'crc32', value: 'AAAAAA=='}

const object = (key: string, length = 1000) => ({key, length, pin: PIN})
const pack = (seq: number, length?: number) => object(`packs/${SNAPSHOT}/0-${seq}-1`, length)
const parity = (seq: number, length?: number) => object(`parity/${SNAPSHOT}/0-${seq}-1`, length)
const FIRST = {group: 0, members: [pack(0), pack(1, 900)], parity: [parity(0), parity(1)]}
const SECOND = {
  group: 1,
  members: [
    object(`index/${SNAPSHOT}/0`, 33_554_432),
    object('index/20251123T140200Z-aaaaaa/packs', 12),
  ],
  parity: [parity(2, 33_554_432)],
}

function list(...lines: unknown[]): Buffer {
  return gzipSync(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
}

it('gives the groups in order', async () => {
  const groups = await parseGroupList(list(HEADER, FIRST, SECOND), SNAPSHOT)
  expect(groups).toEqual(
    [FIRST, SECOND].map(({members, parity: sums}) => ({members, parity: sums})),
  )
})

it('may be empty', async () => {
  expect(await parseGroupList(list(HEADER), SNAPSHOT)).toEqual([])
})

it('takes as many members and parity objects as a group may have, and no more', async () => {
  const members = Array.from({length: 17}, (_, seq) => pack(seq))
  const sums = Array.from({length: 5}, (_, seq) => parity(seq))
  const full = {group: 0, members: members.slice(1), parity: sums.slice(1)}
  expect(await parseGroupList(list(HEADER, full), SNAPSHOT)).toHaveLength(1)
  for (const changes of [{members}, {parity: sums}])
    await expect(parseGroupList(list(HEADER, {...full, ...changes}), SNAPSHOT)).rejects.toThrow(
      /without 1 to/,
    )
})

it.each<Record<string, unknown>>([
  {group: 1},
  {group: '0'},
  {members: []},
  {members: null},
  {members: [null]},
  {members: {0: pack(0), length: 1}},
  {members: [pack(0), pack(0)]},
  {members: [parity(5)]},
  {members: [object(`index/${SNAPSHOT}/groups`)]},
  {members: [object('snapshots/x.json')]},
  {members: [object('packs/../../etc')]},
  {members: [{...pack(0), key: 7}]},
  {members: [pack(0, 0)], parity: [parity(0, 0)]},
  {members: [pack(0, 33_554_433)], parity: [parity(0, 33_554_433)]},
  {members: [pack(0, -1)]},
  {members: [{...pack(0), pin: {kind: 'sha1', value: 'AAAAAA=='}}]},
  {parity: []},
  {parity: [pack(0)]},
  {parity: [parity(0), parity(0)]},
  {parity: [parity(2)]},
  {parity: [parity(0, 999)]},
  {parity: [parity(0, 1001)]},
  {parity: [{...parity(0), pin: null}]},
])('with %j is refused by its name', async (changes) => {
  await expect(
    parseGroupList(list(HEADER, {...FIRST, ...changes}, SECOND), SNAPSHOT),
  ).rejects.toMatchObject({
    code: 'INTEGRITY',
    message: expect.stringContaining(`index/${SNAPSHOT}/groups: `),
  })
})

it('of another snapshot is refused', async () => {
  const other = {...HEADER, snapshot: '20261123T140200Z-aaaaaa'}
  await expect(parseGroupList(list(other, FIRST), SNAPSHOT)).rejects.toThrow('another snapshot')
})

it('of a newer format is refused as such', async () => {
  await expect(parseGroupList(list({...HEADER, format: 3}), SNAPSHOT)).rejects.toMatchObject({
    code: 'FORMAT_NEWER',
  })
})
