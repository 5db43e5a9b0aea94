import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {chmod, mkdir, readdir, readFile, writeFile} from 'node:fs/promises'
import {randomBytes} from 'node:crypto'
import {join} from 'node:path'
import {pathToFileURL} from 'node:url'
import {answered, startDumont} from './dumont.js'
import {scratch} from './trees.js'

interface Verdict {
  readonly asserted: boolean
  readonly damaged: readonly {readonly key: string}[]
  readonly files: {readonly lost: number; readonly whole: number}
  readonly packs: number
  readonly packsRead: number
  readonly snapshots: readonly Verdict[]
}

// One workspace, two snapshots that share its packs, this machine as the box.
let folder: string
let remove: () => Promise<void>
let store: string[]
let first: string
beforeAll(async () => {
  ;({path: folder, remove} = await scratch())
  store = ['--store', pathToFileURL(join(folder, 'store')).href]
  await mkdir(join(folder, 'work'))
  await writeFile(join(folder, 'work/model'), randomBytes(12e6))
  const create = (...more: string[]) =>
    answered(['snapshot', 'create', '--host', 'local', ...store, ...more, join(folder, 'work')])
  ;({id: first} = await create('--tag', 'best'))
  await writeFile(join(folder, 'work/note'), 'later')
  await create()
})
afterAll(() => remove())

async function verify(...argv: string[]) {
  const command = ['snapshot', 'verify', ...argv, ...store, '--json']
  const {code, stdout} = await startDumont(command).ended
  return {code, ...(JSON.parse(stdout) as Verdict)}
}

test('all snapshots are decoded, and what they share is read once', async () => {
  const {asserted, code, packs, packsRead, snapshots} = await verify('--all', '--level', 'decoded')
  expect({asserted, code}).toEqual({asserted: false, code: 0})
  expect(snapshots).toHaveLength(2)
  expect(packsRead).toBe(packs)
})

test('a box reads in this machine’s stead, and only says so', async () => {
  const {asserted, code, packs, packsRead} = await verify(
    first,
    '--level',
    'decoded',
    '--host',
    'local',
  )
  expect({asserted, code}).toEqual({asserted: true, code: 0})
  expect(packsRead).toBe(packs)
})

test('runs of a part each cover everything', async () => {
  const {packs} = await verify('--all')
  let read = 0
  for (let run = 0; run < 2; run += 1)
    read += (await verify('--all', '--level', 'stored', '--cover', '2')).packsRead
  expect(read).toBeGreaterThanOrEqual(packs)
})

test('a tag finds a snapshot and keeps it', async () => {
  const list = await startDumont(['snapshot', 'list', '--tag', 'best', ...store, '--json']).ended
  expect(JSON.parse(list.stdout).snapshots).toMatchObject([{id: first, tags: ['best']}])
  const prune = ['snapshot', 'prune', '--keep-tag', 'best', '--dry-run', ...store, '--json']
  const {snapshots} = JSON.parse((await startDumont(prune).ended).stdout)
  expect(snapshots).toContainEqual(expect.objectContaining({id: first, reasons: ['tag best']}))
})

describe('a store that rots', () => {
  test('exits 65, says what is left, and gives that back', async () => {
    const packs = join(folder, 'store/packs', first)
    const sizes = await Promise.all(
      (await readdir(packs)).map(async (name) => {
        const bytes = await readFile(join(packs, name))
        return {bytes, name}
      }),
    )
    const [largest] = sizes.toSorted((one, other) => other.bytes.length - one.bytes.length)
    const file = join(packs, largest?.name ?? '')
    const bytes = largest?.bytes ?? Buffer.alloc(0)
    bytes.writeUInt8(bytes.readUInt8(5000) ^ 1, 5000)
    await chmod(file, 0o600)
    await writeFile(file, bytes)

    const {code, snapshots} = await verify('--all', '--level', 'stored')
    expect(code).toBe(65)
    expect(snapshots.map(({files}) => files.lost)).toEqual([1, 1])

    const report = join(folder, 'report')
    const where = ['--host', 'local', '--target', join(folder, 'back'), '--salvage']
    const restore = ['snapshot', 'restore', 'latest', ...where, '--report', report, ...store]
    expect((await startDumont(restore).ended).code).toBe(65)
    expect(await readdir(join(folder, 'back'))).toEqual(['note'])
    const told = (await readFile(report, 'utf8')).trimEnd().split('\n')
    expect(told.map((line) => JSON.parse(line))).toMatchObject([
      {code: 'damaged', path: join(folder, 'back/model')},
    ])
  })
})

test('what makes no sense together is refused', async () => {
  for (const argv of [[], [first, '--all'], [first, '--host', 'local'], ['--cover', '0', first]])
    expect((await startDumont(['snapshot', 'verify', ...argv, ...store]).ended).code).toBe(2)
})
