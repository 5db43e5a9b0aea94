import {mkdtemp, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, expect, test} from '@jest/globals'
import {listSnapshots} from '../../../src/lib/snapshots/list-snapshots.js'
import {benchTop, type BenchTop} from './bench-top.js'

let bench: BenchTop
let cacheDir: string
let reads: number
beforeEach(async () => {
  bench = await benchTop()
  cacheDir = await mkdtemp(join(tmpdir(), 'dumont-cache-'))
  const first = await bench.create()
  bench.bends.files = {a: 'apple', c: 'cherry'}
  const second = await bench.create()
  ids = [first.id, second.id].map(String)
  await list()
  reads = 0
  bench.store.before = (method) => {
    if (method === 'get') reads++
  }
})
afterEach(async () => {
  await bench.remove()
  await rm(cacheDir, {force: true, recursive: true})
})

let ids: string[]

async function list(): Promise<string[]> {
  const {snapshots} = await listSnapshots({cacheDir, store: bench.store})
  return snapshots.map(({id}) => id)
}

async function cacheFile(): Promise<string> {
  const folder = join(cacheDir, 'manifests')
  const [name = ''] = await readdir(folder)
  return join(folder, name)
}

async function spoil(change: (text: string) => string): Promise<void> {
  const path = await cacheFile()
  await writeFile(path, change(await readFile(path, 'utf8')))
}

test('a list reads no manifest it has read before, and shows the same', async () => {
  expect(await list()).toEqual(ids)
  expect(reads).toBe(0)
})

test('a list reads what is new', async () => {
  const third = await bench.create()
  reads = 0
  expect(await list()).toEqual([...ids, third.id])
  expect(reads).toBe(1)
})

test('a snapshot that is not in the store any more is neither shown nor kept', async () => {
  await bench.store.remove([`snapshots/${ids[0]}.json`])
  expect(await list()).toEqual(ids.slice(1))
  expect(await readFile(await cacheFile(), 'utf8')).not.toContain(`snapshots/${ids[0]}`)
})

test.each([
  ['cut short', (text: string) => text.slice(0, text.length / 2)],
  [
    'changed in a manifest',
    (text: string) => text.replaceAll(String.raw`\"files\":2`, String.raw`\"files\":3`),
  ],
  ['no text of this program', () => 'something else\n'],
  ['empty', () => ''],
  ['of another store', (text: string) => text.replaceAll('snapshots/2', 'snapshots/3')],
  ['of other objects', (text: string) => text.replaceAll(/,[0-9]{13},/g, ',1,')],
])('a cache that is %s is as good as none', async (_name, change) => {
  await spoil(change)
  const {snapshots} = await listSnapshots({cacheDir, store: bench.store})
  expect(snapshots.map(({manifest}) => manifest.counts.files)).toEqual([2, 2])
  expect(reads).toBeGreaterThan(0)
})

test('a manifest that was damaged later is told, whatever was read before', async () => {
  const key = `snapshots/${ids[0]}.json`
  await bench.store.remove([key])
  await bench.store.put(key, Buffer.from('{}'))
  const {unreadable} = await listSnapshots({cacheDir, store: bench.store})
  expect(unreadable.map(({id}) => id)).toEqual(ids.slice(0, 1))
})

test('a cache that cannot be written does not keep a list from its answer', async () => {
  await rm(cacheDir, {force: true, recursive: true})
  await writeFile(cacheDir, 'no directory')
  expect(await list()).toEqual(ids)
})

test('only its owner may read the cache', async () => {
  expect((await stat(await cacheFile())).mode & 0o777).toBe(0o600)
})
