import {afterEach, describe, expect, test} from '@jest/globals'
import type {ParityGroup} from '../../../src/lib/format/group-list.js'
import {readManifest} from '../../../src/lib/snapshots/manifests.js'
import type {RestoreOptions} from '../../../src/lib/snapshots/restore-host.js'
import {restoreSnapshot} from '../../../src/lib/snapshots/restore-snapshot.js'
import type {BoxService} from '../../../src/lib/snapshots/service.js'
import {readGroups} from '../../../src/lib/snapshots/stored-index.js'
import type {GrantedUrl, OperatorMessage} from '../../../src/lib/worker/requests.js'
import {describeRestore} from '../../../src/ui/describe-restore.js'
import {ScriptedWorker} from '../../support/scripted-worker.js'
import {keysFor} from '../../support/store-keys.js'
import {benchTop, type BenchTop} from './bench-top.js'

type Restore = Extract<OperatorMessage, {type: 'restore'}>

const RESULT = {
  counts: {entries: 3},
  bytes: {raw: 11, fetched: 123, written: 11},
  ...{same: 0, written: 2, deleted: 0, failed: 0, damaged: 0, failures: [], seconds: 0.1},
  warnings: {rebuilt: 1},
  notes: {},
}

let bench: BenchTop
afterEach(() => bench.remove())

/** A snapshot with parity, and the group of its pack. */
async function begin(protection?: 'sealed', parity = 1) {
  bench = await benchTop(protection && keysFor(protection))
  const {id = ''} = await bench.create({parity})
  const {store} = bench.service
  const {manifest} = await readManifest(store, id)
  const [group] = await readGroups(store, manifest)
  return {group: group as ParityGroup, id, manifest}
}

/** Restores on a box that asks for these keys first. */
async function restore(id: string, keys: readonly string[], raw?: boolean) {
  const heard: {request?: Restore; urls: readonly GrantedUrl[]} = {urls: []}
  const service: BoxService = {
    ...bench.service,
    openSession: async () => {
      const worker = new ScriptedWorker().greet()
      void worker.hears('restore').then(async (request) => {
        heard.request = request
        if (keys.length > 0) {
          worker.say({type: 'fetch', id: 1, keys: [...keys], ...(raw && {raw})})
          heard.urls = (await worker.hears('reply')).urls ?? []
        }
        return worker.say({type: 'result', to: request.id, ...RESULT})
      })
      return worker.session()
    },
  }
  const options: RestoreOptions = {
    ...{
      include: [],
      overwrite: 'if-changed' as const,
      delete: false,
      devices: false,
      dryRun: false,
    },
    ...{includeAccessFiles: false, parts: 4, confirmDelete: async () => false},
  }
  const summary = await restoreSnapshot({snapshot: id, hosts: ['one'], options}, service)
  return {...heard, summary}
}

describe('a restore of a snapshot with parity', () => {
  test('tells the box of its groups, and what was made again is no failure', async () => {
    const {id, manifest} = await begin()
    const {request, summary} = await restore(id, [])
    expect(request?.groups).toEqual(manifest.index.groups)
    expect(describeRestore(summary)).toContain(`dumont snapshot repair ${id}`)
    expect(summary).toMatchObject({failed: 0, hosts: [{warnings: {byCode: {rebuilt: 1}}}]})
  })

  test('says nothing of groups where there are none', async () => {
    const {id} = await begin(undefined, 0)
    expect((await restore(id, [])).request).not.toHaveProperty('groups')
  })

  test('lets the box read every object of a group, as it is stored', async () => {
    const {group, id} = await begin('sealed')
    const keys = [...group.members, ...group.parity].map(({key}) => key)
    const {urls} = await restore(id, keys, true)
    expect(urls.map(({key}) => key)).toEqual(keys)
    expect(urls.some((url) => 'seal' in url)).toBe(false)
  })

  test('gives the key to a pack with the pack itself, and none with its list of groups taken raw', async () => {
    const {group, id, manifest} = await begin('sealed')
    const list = manifest.index.groups?.key ?? ''
    const {urls} = await restore(id, [group.members[0]?.key ?? '', list])
    expect(urls.map((url) => 'seal' in url)).toEqual([true, true])
  })

  test.each(['sealed', undefined] as const)(
    'gives parity to nobody who does not say raw (%s)',
    async (protection) => {
      const {group, id} = await begin(protection)
      await expect(restore(id, [group.parity[0]?.key ?? ''])).rejects.toMatchObject({
        code: 'WORKER',
      })
    },
  )

  test('gives no object of another snapshot, raw or not', async () => {
    const {group} = await begin()
    bench.bends.files = {other: 'content'}
    const {id} = await bench.create({name: 'other'})
    await expect(restore(id ?? '', [group.parity[0]?.key ?? ''], true)).rejects.toMatchObject({
      code: 'WORKER',
    })
  })

  test('goes on without a list of groups that is damaged, and says so', async () => {
    const {id} = await begin()
    await bench.store.inner.remove([`index/${id}/groups`])
    const {request} = await restore(id, [])
    expect(request).not.toHaveProperty('groups')
    expect(bench.notes().join()).toMatch(/nothing can be made again/)
  })

  test('says what may help when the list of packs is damaged', async () => {
    const {id} = await begin()
    await bench.store.inner.remove([`index/${id}/packs`])
    await expect(restore(id, [])).rejects.toMatchObject({
      code: 'INTEGRITY',
      hint: expect.stringContaining(`repair ${id}`),
    })
  })
})
