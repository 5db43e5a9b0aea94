import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import type {Equipment} from '../../../src/lib/snapshots/service.js'
import {createSnapshot} from '../../../src/lib/snapshots/create-snapshot.js'
import {benchTop, type BenchTop} from './bench-top.js'

const CHOICE = {codec: 'zstd', why: 'zstd: the uplink is the limit (9 MB/s)'}

describe('the codec auto', () => {
  let bench: BenchTop
  beforeEach(async () => {
    bench = await benchTop()
  })
  afterEach(() => bench.remove())

  /** What the worker hears when it asks where nvCOMP lies. */
  const asks = async (equipment: Partial<Equipment>, dryRun = false) => {
    const heard: unknown[] = []
    const needs: string[] = []
    bench.bends.onCreate = async (worker) => {
      worker.say({id: 99, type: 'nvcomp'})
      heard.push((await worker.hears('reply')).nvcomp)
    }
    const service = {
      ...bench.service,
      equipNvcomp: (need: string) => {
        needs.push(need)
        return async () => ({argv: ['python'], ...equipment})
      },
    }
    const request = {...REQUEST, codec: 'auto' as const, dryRun}
    await createSnapshot(request, service)
    return {heard, needs}
  }

  test('is told where nvCOMP was installed for it', async () => {
    const {heard, needs} = await asks({installNvcomp: async () => '/gpu'})
    expect(heard).toEqual(['/gpu'])
    expect(needs).toEqual(['later'])
  })

  test('is told that nothing could be installed', async () => {
    expect((await asks({installNvcomp: async () => undefined})).heard).toEqual([null])
  })

  test('is told that nothing may be installed', async () => {
    expect((await asks({})).heard).toEqual([null])
  })

  test('ends with what is wrong where the box was given other bytes', async () => {
    const installNvcomp = () => Promise.reject(new Error('other bytes'))
    await expect(asks({installNvcomp})).rejects.toThrow('other bytes')
  })

  test('says in one line what it took and why', async () => {
    bench.bends.result = (result) => ({...result, choice: CHOICE})
    expect((await bench.create()).codec).toEqual(CHOICE)
  })

  test('says nothing where a codec was named', async () => {
    expect(await bench.create({codec: 'zstd'})).not.toHaveProperty('codec')
  })
})

const REQUEST = {
  acceptRollback: false,
  crossMounts: false,
  excludeCaches: false,
  excludes: [],
  host: 'root@gpu1',
  level: 3,
  parts: 4,
  paths: ['/workspace'],
}
