import {describe, expect, test} from '@jest/globals'
import type {ChunkRecord} from '../../../src/lib/format/chunk-record.js'
import type {ConnectedBox} from '../../../src/lib/snapshots/connect-worker.js'
import type {PackReading} from '../../../src/lib/snapshots/pack-check.js'
import {rangesOf, readOnBox} from '../../../src/lib/snapshots/read-on-box.js'
import {MemoryStore} from '../../../src/lib/store/memory-store.js'
import type {CheckedPack} from '../../../src/lib/worker/protocol.js'
import type {RequestHandlers} from '../../../src/lib/worker/request-handlers.js'
import type {VerifyRequest} from '../../../src/lib/worker/requests.js'
import {ManualClock} from '../../support/manual-clock.js'
import {manifestOf} from './manifest-of.js'

const {manifest} = manifestOf('20261123T140200Z-aaaaaa')
const pin = {kind: 'crc32', value: 'AAAAAA=='} as const
const packs = ['0', '1', '2'].map((name) => ({key: `packs/x/${name}`, length: 100, pin}))
const all = [0, 1, 1, 2].map((pack, chunk): ChunkRecord => ({
  at: 0,
  chunk,
  codec: 'none',
  delta: undefined,
  frameHash: 'a'.repeat(64),
  pack,
  rawHash: 'b'.repeat(64),
  rawLength: 10,
  stored: 66,
  transform: 'none',
}))
const byPack = new Map([0, 1, 2].map((pack) => [pack, all.filter((one) => one.pack === pack)]))
const what = {chunks: {all, byPack}, decode: false, manifest, numbers: [0, 1, 2], packs}
const good = (pack: number): CheckedPack => ({
  bases: [],
  chunks: [],
  pack,
  reason: null,
  type: 'checked',
})

/** What a box says of the packs, and what comes of it. */
async function said(verdicts: readonly CheckedPack[], ask: readonly string[] = []) {
  const requests: VerifyRequest[] = []
  const box = {
    reach: {most: 8, sign: async () => ({headers: {}, method: 'GET', url: 'http://x'})},
    worker: {
      hello: {host: {memory: 8e9}},
      async verify(request: VerifyRequest, handlers: RequestHandlers) {
        requests.push(request)
        if (ask.length > 0) await handlers.fetch?.(ask)
        for (const verdict of verdicts) handlers.checked?.(verdict)
        return {besides: 7, bytes: 300, packs: 3, seconds: 1}
      },
    },
  } as unknown as ConnectedBox
  const store = new MemoryStore({clock: new ManualClock()})
  const found = new Map<number, PackReading>()
  const besides = await readOnBox(
    box,
    {parts: 32},
    {store},
  )(what, async (number, reading) => {
    found.set(number, reading)
  })
  return {besides, found, requests}
}

test('what a box says of each pack is the reading', async () => {
  const {besides, found, requests} = await said([
    good(2),
    {
      bases: [3],
      chunks: [2],
      pack: 1,
      reason: '1 of 2 chunks \u001B[31mare damaged',
      type: 'checked',
    },
    {bases: [], chunks: null, pack: 0, reason: 'missing', type: 'checked'},
  ])
  expect(besides).toBe(7)
  expect(requests).toMatchObject([{decode: false, parts: 8, ranges: [[0, 2]], type: 'verify'}])
  expect(found.get(2)).toEqual({badBases: [], badChunks: [], reason: undefined})
  expect(found.get(1)).toMatchObject({badBases: [3], badChunks: [2]})
  expect(found.get(1)?.reason).not.toContain('\u001B')
  expect(found.get(0)).toMatchObject({badChunks: [0], reason: 'missing'})
})

describe('a box that makes no sense is believed in nothing', () => {
  test.each<[string, readonly CheckedPack[]]>([
    ['says nothing of a pack', [good(0), good(1)]],
    ['speaks of a pack twice', [good(0), good(0), good(1), good(2)]],
    ['speaks of a pack that nobody asked for', [good(0), good(1), good(2), good(3)]],
    ['names chunks of another pack', [{...good(0), chunks: [3], reason: 'x'}, good(1), good(2)]],
    ['names a base that there is not', [{...good(0), bases: [9]}, good(1), good(2)]],
    ['tells damage without a reason', [{...good(0), chunks: [0]}, good(1), good(2)]],
  ])('when it %s', async (_, verdicts) => {
    await expect(said(verdicts)).rejects.toMatchObject({code: 'WORKER'})
  })
  test('when it wants to read something else', async () => {
    await expect(said([good(0), good(1), good(2)], ['packs/y/0'])).rejects.toMatchObject({
      code: 'WORKER',
    })
  })
})

test('numbers become ranges', () => {
  expect(rangesOf([])).toEqual([])
  expect(rangesOf([0, 1, 2, 5, 7, 8])).toEqual([
    [0, 2],
    [5, 5],
    [7, 8],
  ])
})
