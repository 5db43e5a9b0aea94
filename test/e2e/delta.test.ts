import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {cp, mkdir, readFile, rm, writeFile} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {pathToFileURL} from 'node:url'
import {systemClock} from '../../src/lib/clock.js'
import type {ChunkRecord} from '../../src/lib/format/chunk-record.js'
import {readManifest} from '../../src/lib/snapshots/manifests.js'
import {readPacks, readStoredIndex} from '../../src/lib/snapshots/stored-index.js'
import {openStore} from '../../src/lib/store/open-store.js'
import {answered, dumont} from './dumont.js'
import {differences, scratch} from './trees.js'

// Two checkpoints of one tensor: the second is stored as what it differs by, and stands and falls with the first.
const WORDS = 600_000
const FILES = ['step-1/model.safetensors', 'step-2/model.safetensors'] as const
let folder: string
let workspace: string
let id: string
let summary: Awaited<ReturnType<typeof answered>>
let remove: () => Promise<void>

beforeAll(async () => {
  ;({path: folder, remove} = await scratch())
  workspace = join(folder, 'workspace')
  const weights = Float32Array.from({length: WORDS}, (_, n) => Math.sin(n * n) / 20)
  await save(FILES[0], weights)
  await save(
    FILES[1],
    weights.map((one, n) => one * (1 + (n % 7) * 1e-7)),
  )
  await writeFile(join(workspace, 'notes.txt'), 'nothing to do with it\n')
  summary = await answered(['snapshot', 'create', ...at('store'), '--no-encryption', workspace])
  ;({id} = summary)
})
afterAll(() => remove())

async function save(name: string, weights: Float32Array): Promise<void> {
  const file = join(workspace, name)
  const tensor = {dtype: 'F32', shape: [WORDS], data_offsets: [0, 4 * WORDS]}
  const header = Buffer.from(JSON.stringify({layer: tensor}))
  const length = Buffer.alloc(8)
  length.writeUInt32LE(header.length)
  await mkdir(dirname(file), {recursive: true})
  await writeFile(file, Buffer.concat([length, header, Buffer.from(weights.buffer)]))
}

function at(name: string): string[] {
  return ['--host', 'local', ...storeOf(name)]
}

function storeOf(name: string): string[] {
  return ['--store', pathToFileURL(join(folder, name)).href]
}

const verify = (name: string, level: string, snapshot = id) =>
  dumont(['snapshot', 'verify', snapshot, '--level', level, ...storeOf(name)])

/** A copy of the store, and the place in it of the chunk that another differs from. */
async function copied(name: string): Promise<ChunkRecord & {readonly file: string}> {
  const path = join(folder, name)
  await cp(join(folder, 'store'), path, {recursive: true})
  const store = await openStore({kind: 'directory', path}, {clock: systemClock})
  const {manifest} = await readManifest(store, id)
  const packs = await readPacks(store, manifest)
  const chunks: ChunkRecord[] = []
  for await (const line of readStoredIndex(store, manifest, packs))
    if (line.sort === 'chunk') chunks.push(line.chunk)
  await store.close()
  const base = chunks[chunks.find(({delta}) => delta)?.delta?.base ?? -1]
  if (!base) throw new Error('nothing is stored as a difference')
  return {...base, file: join(path, packs[base.pack]?.key ?? '')}
}

describe('a checkpoint that is stored as what it differs by', () => {
  test('is told of in the summary and by show', async () => {
    const raw = 4 * WORDS
    expect(summary).toMatchObject({code: 0, delta: {raw}})
    const shown = await dumont(['snapshot', 'show', id, ...storeOf('store')])
    expect(shown.stdout).toMatch(
      /differs {3}step-\d\/model\.safetensors: \d+ % of its size, base step-\d\/model/u,
    )
  })

  test('is found whole by every level of verify, and comes back equal', async () => {
    for (const level of ['listed', 'stored', 'decoded'])
      expect(await verify('store', level)).toMatchObject({code: 0})
    const target = join(folder, 'restored')
    const argv = ['snapshot', 'restore', id, ...at('store'), '--target', target]
    expect(await answered(argv)).toMatchObject({code: 0})
    expect(await differences(workspace, target)).toEqual([])
  })

  test('is named with its base when that is damaged, and nothing else is', async () => {
    const {at: offset, file} = await copied('damaged')
    const bytes = await readFile(file)
    bytes.writeUInt8(bytes.readUInt8(offset + 200) ^ 1, offset + 200)
    await writeFile(file, bytes)
    const found = await verify('damaged', 'decoded')
    expect(found.code).toBe(65)
    for (const name of FILES) expect(found.stdout + found.stderr).toContain(name)
    const target = join(folder, 'half')
    const restored = await dumont(['snapshot', 'restore', id, ...at('damaged'), '--target', target])
    expect(restored.code).toBe(65)
    for (const name of FILES) expect(restored.stdout + restored.stderr).toContain(name)
    await expect(readFile(join(target, 'notes.txt'), 'utf8')).resolves.toMatch(/^nothing/u)
  })

  test('is stored anew, with its base, when that is gone', async () => {
    const {file} = await copied('gone')
    await rm(file)
    for (const level of ['listed', 'stored', 'decoded'])
      expect(await verify('gone', level)).toMatchObject({code: 65})
    const again = await answered(['snapshot', 'create', ...at('gone'), workspace])
    expect(again).toMatchObject({code: 0})
    expect(await verify('gone', 'decoded', again.id)).toMatchObject({code: 0})
  })

  test('keeps its base when the file and the snapshot that brought it are gone', async () => {
    await copied('kept')
    const leaner = join(folder, 'leaner')
    await cp(workspace, leaner, {preserveTimestamps: true, recursive: true})
    const [base = ''] = JSON.parse(
      (await dumont(['snapshot', 'show', id, ...storeOf('kept'), '--json'])).stdout,
    ).differing.map((one: {base: {path: string}}) => one.base.path) as string[]
    await rm(join(workspace, base))
    try {
      // The copy is older than what this machine has seen of the repository.
      const argv = ['snapshot', 'create', ...at('kept'), workspace, '--accept-rollback']
      const second = await answered(argv)
      expect(second).toMatchObject({code: 0, newBytes: 0})
      expect(await dumont(['snapshot', 'delete', id, '--yes', ...storeOf('kept')])).toMatchObject({
        code: 0,
      })
      expect(await verify('kept', 'decoded', second.id)).toMatchObject({code: 0})
    } finally {
      await cp(join(leaner, base), join(workspace, base), {preserveTimestamps: true})
    }
  })
})
