import {randomBytes} from 'node:crypto'
import {mkdir, readdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {systemClock} from '../../src/lib/clock.js'
import {openStore} from '../../src/lib/store/open-store.js'
import type {Store} from '../../src/lib/store/store.js'
import {findVersitygw, startVersitygw, type Versitygw} from '../support/versitygw.js'
import {answered, dumont, sharedHome} from './dumont.js'
import {credentials} from './operator.js'
import {differences, scratch} from './trees.js'

const whereS3Is = findVersitygw() === undefined ? describe.skip : describe
const LIMIT_MS = 120_000

interface Damage {
  readonly key: string
  readonly repairable: boolean
}

interface Verdict {
  readonly code: number | null
  readonly damaged: readonly Damage[]
  readonly damagedFiles: readonly string[]
  readonly files: {readonly lost: number}
  readonly parity: number
}

whereS3Is('a sealed store that loses objects of a snapshot with parity', () => {
  let server: Versitygw
  let bucket: Store
  let folder: string
  let workspace: string
  let remove: () => Promise<void>
  let id: string

  beforeAll(async () => {
    ;({path: folder, remove} = await scratch())
    server = await startVersitygw()
    const {accessKeyId, bucket: bin, endpoint, region, secretAccessKey} = server
    const location = {credentials: {accessKeyId, secretAccessKey}, endpoint, region}
    bucket = await openStore(
      {...location, bucket: bin, kind: 's3', prefix: 'kept'},
      {clock: systemClock},
    )
    workspace = join(folder, 'workspace')
    await mkdir(workspace)
    // Random bytes stay as many as they are, and so little memory makes small packs.
    for (const name of ['one', 'two', 'three', 'four'])
      await writeFile(join(workspace, name), randomBytes(4e6))
    await writeFile(join(workspace, 'note'), 'short')
    const recovery = ['--recovery-file', join(folder, 'recovery')]
    const created = await run('create', ...box(), '--parity', '2', ...recovery, workspace)
    expect(created).toMatchObject({code: 0, parity: {unprotected: 0}})
    id = created.id
  }, LIMIT_MS)
  afterAll(async () => {
    await bucket?.close()
    await server?.close()
    await remove?.()
  })

  const box = () => ['--host', 'local', '--parts', '1', '--memory', '216MiB']
  const store = () => ['--store', 's3://bucket/kept', '--endpoint', server.endpoint]
  const surroundings = () => ({env: credentials(server), home: sharedHome()})
  const run = (command: string, ...argv: string[]) =>
    answered(['snapshot', command, ...argv, ...store()], surroundings())
  const verify = async (level: string) =>
    (await run('verify', id, '--level', level)) as unknown as Verdict
  const fileOf = (key: string) => join(server.root, 'kept', key)
  const packs = async () =>
    (await readdir(fileOf(`packs/${id}`))).toSorted().map((name) => `packs/${id}/${name}`)

  /** As the store does it, so that it knows of it. */
  const lose = (...keys: string[]) => bucket.remove(keys)

  /** Behind the store's back. */
  async function spoil(key: string): Promise<void> {
    const bytes = await readFile(fileOf(key))
    const middle = bytes.length >> 1
    bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle)
    await writeFile(fileOf(key), bytes)
  }

  /** Restores elsewhere and gives what differs. */
  async function restored(name: string) {
    const target = join(folder, name)
    const argv = ['restore', id, ...box(), '--target', target, ...store()]
    const outcome = await dumont(['snapshot', ...argv], surroundings())
    return {...outcome, differences: await differences(workspace, target)}
  }

  test(
    'a pack that is gone and one that rots are named, restored around, and made again',
    async () => {
      const [gone = '', rotten = ''] = await packs()
      await lose(gone)
      await spoil(rotten)

      const found = await verify('stored')
      expect(found).toMatchObject({code: 65, damagedFiles: [], files: {lost: 0}})
      expect(found.damaged.filter(({repairable}) => !repairable)).toEqual([])
      expect(found.damaged.map(({key}) => key).toSorted()).toEqual([gone, rotten])

      const back = await restored('while-damaged')
      expect(back).toMatchObject({code: 0, differences: []})
      expect(back.stderr).toContain(gone)

      const repaired = await run('repair', id, ...box())
      expect(repaired).toMatchObject({
        code: 0,
        damaged: [],
        repaired: expect.arrayContaining([gone, rotten]),
      })
      expect(await verify('stored')).toMatchObject({code: 0, damaged: []})
    },
    LIMIT_MS,
  )

  test(
    'its whole index is made again',
    async () => {
      await lose(`index/${id}/0`)
      await spoil(`index/${id}/packs`)
      expect(await run('verify', id)).toMatchObject({
        code: 65,
        error: {hint: expect.stringContaining(`dumont snapshot repair ${id}`)},
      })
      expect(await run('repair', id, ...box())).toMatchObject({code: 0, damaged: []})
      expect(await verify('stored')).toMatchObject({code: 0, damaged: []})
    },
    LIMIT_MS,
  )

  test(
    'one loss more than there is parity for names the files, and repairs nothing',
    async () => {
      const [one = '', two = '', three = ''] = await packs()
      await lose(one, two, three)
      const found = await verify('listed')
      expect(found.code).toBe(65)
      expect(found.damaged.map(({repairable}) => repairable)).toEqual([false, false, false])
      expect(found.files.lost).toBeGreaterThan(0)
      const repaired = await run('repair', id, ...box())
      expect(repaired).toMatchObject({code: 65, repaired: []})
      const {hopeless} = repaired as unknown as {hopeless: readonly Damage[]}
      expect(hopeless.map(({key}) => key).toSorted()).toEqual([one, two, three])
      const back = await restored('with-losses')
      expect(back.code).toBe(65)
      expect(back.stderr).toContain(found.damagedFiles[0])
    },
    LIMIT_MS,
  )
})
