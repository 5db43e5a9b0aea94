import {expect, test} from '@jest/globals'
import {readPacks, readStoredIndex} from '../../../src/lib/snapshots/stored-index.js'
import {MemoryStore} from '../../../src/lib/store/memory-store.js'
import {ShiftedClock} from '../../support/shifted-clock.js'

const ID = '20261123T140200Z-k3f7qz'
const HUGE = 2 ** 50

test('an index object that is told to fill the memory is not asked for', async () => {
  const store = new MemoryStore({clock: new ShiftedClock()})
  const asked: string[] = []
  store.get = async (key) => {
    asked.push(key)
    return new Uint8Array()
  }
  const object = (name: string) => ({
    key: `index/${ID}/${name}`,
    length: HUGE,
    sha256: '0'.repeat(64),
  })
  const indexed = {id: ID, index: {packs: object('packs'), segments: [object('0')]}}
  await expect(readPacks(store, indexed)).rejects.toMatchObject({code: 'INTEGRITY'})
  await expect(readStoredIndex(store, indexed, []).next()).rejects.toMatchObject({
    code: 'INTEGRITY',
  })
  expect(asked).toEqual([])
})
