import {randomBytes} from 'node:crypto'
import {mkdtemp, readdir, readFile, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import type {PackRecord} from '../../../src/lib/format/pack-list.js'
import {withNewMaster} from '../../../src/lib/seal/keyring.js'
import {createSnapshot} from '../../../src/lib/snapshots/create-snapshot.js'
import {deleteSnapshots} from '../../../src/lib/snapshots/delete-snapshot.js'
import {listSnapshots} from '../../../src/lib/snapshots/list-snapshots.js'
import {readManifest} from '../../../src/lib/snapshots/manifests.js'
import {showSnapshot} from '../../../src/lib/snapshots/show-snapshot.js'
import {readPacks} from '../../../src/lib/snapshots/stored-index.js'
import {keyedStore} from '../../../src/lib/store/keyed-store.js'
import {keysFor, KNOWN_RING} from '../../support/store-keys.js'
import {benchTop, REQUEST, type BenchTop} from './bench-top.js'

const ELSEWHERE = Buffer.alloc(72, 3).toString('base64')
const MARKERS = ['marker-in-a-name', 'marker in a content', 'marker-label', '/marker-root']

let bench: BenchTop
beforeEach(async () => {
  bench = await benchTop(keysFor('sealed'))
})
afterEach(() => bench.remove())

const sealed = () => bench.service.store
const stored = async () => {
  const keys = await bench.store.keysBelow()
  return Promise.all(keys.map((key) => bench.store.inner.get(key)))
}
const requestOf = (worker: number) =>
  bench.workers[worker]?.heard.find((message) => message.type === 'create')

describe('a snapshot in a sealed store', () => {
  test('shows nothing of itself', async () => {
    const [name = '', content = '', label = '', root = ''] = MARKERS
    bench.bends.files = {[name]: content}
    await bench.create({name: label, paths: [root]})
    const all = Buffer.concat(await stored()).toString('latin1')
    for (const marker of MARKERS) expect(all).not.toContain(marker)
  })

  test('is read by whoever has the keys', async () => {
    const {id = ''} = await bench.create({name: 'train-a'})
    const {snapshots, unreadable} = await listSnapshots({store: sealed()})
    expect([snapshots.map((one) => one.id), unreadable]).toEqual([[id], []])
    const shown = await showSnapshot({snapshot: id, largest: 9}, bench.service)
    expect(shown.largest.map(({path}) => path)).toEqual(['b', 'a'])
  })

  test('is known again by this machine, where it lies as unreadable as there', async () => {
    const cacheDir = await mkdtemp(join(tmpdir(), 'dumont-cache-'))
    const [label = ''] = MARKERS
    const {id} = await bench.create({name: label})
    await listSnapshots({cacheDir, store: sealed()})
    bench.store.log.length = 0
    const {snapshots} = await listSnapshots({cacheDir, store: sealed()})
    expect(snapshots.map((one) => [one.id, one.manifest.label])).toEqual([[id, label]])
    expect(bench.store.log).toEqual(['list snapshots/'])
    const [file = ''] = await readdir(join(cacheDir, 'manifests'))
    expect(await readFile(join(cacheDir, 'manifests', file), 'utf8')).not.toContain(label)
    await rm(cacheDir, {recursive: true})
  })

  test('is leant on by the next one, which has a secret of its own', async () => {
    await bench.create()
    const packs = await bench.store.keysBelow('packs/')
    expect(await bench.create()).toMatchObject({newBytes: 0, sequence: 2})
    expect(await bench.store.keysBelow('packs/')).toEqual(packs)
    const secrets = [requestOf(0), requestOf(1)].map((request) => request?.seal?.secret)
    expect(new Set(secrets).size).toBe(2)
    expect(secrets).not.toContain(undefined)
  })

  test('is deleted with what only it needs', async () => {
    const first = await bench.create()
    bench.bends.files = {a: 'apple', c: 'cherry'}
    const {id} = await bench.create()
    const confirm = async () => true
    const result = await deleteSnapshots({snapshots: [first.id ?? ''], confirm}, bench.service)
    expect(result).toMatchObject({deleted: [first.id], objects: 2})
    expect((await listSnapshots({store: sealed()})).snapshots.map((one) => one.id)).toEqual([id])
  })

  test('is leant on after the keys were rotated, by whoever has the new one', async () => {
    const {id = ''} = await bench.create()
    const rotated = withNewMaster(KNOWN_RING, '2026-11-24T14:02:00Z', randomBytes)
    const store = keyedStore(bench.store, keysFor('sealed', rotated))
    const second = await createSnapshot(REQUEST, {...bench.service, store})
    expect(second).toMatchObject({newBytes: 0, sequence: 2})
    const {manifest} = await readManifest(store, second.id ?? '')
    const [pack] = await readPacks(store, manifest)
    const masterOf = (seal = '') => Buffer.from(seal, 'base64').toString('hex', 0, 8)
    expect(masterOf(pack?.seal)).toBe(KNOWN_RING.masters[0]?.id)
    expect(masterOf(manifest.index.packs.seal)).toBe(rotated?.masters[1]?.id)
    const {snapshots, unreadable} = await listSnapshots({store: sealed()})
    expect([snapshots.map((one) => one.id), unreadable.map((one) => one.id)]).toEqual([
      [id],
      [second.id],
    ])
  })

  test('tells no secret to anybody but the box', async () => {
    await bench.create()
    await bench.create()
    const secrets = bench.workers.flatMap(({heard}) =>
      heard.flatMap((message) => {
        if (message.type === 'create') return message.seal ? [message.seal.secret] : []
        return message.type === 'reply'
          ? (message.urls ?? []).flatMap(({seal}) => (seal ? [seal.secret] : []))
          : []
      }),
    )
    expect(secrets).toHaveLength(4)
    const told = JSON.stringify(bench.events) + Buffer.concat(await stored()).toString('latin1')
    for (const secret of secrets) {
      expect(told).not.toContain(secret)
      expect(told).not.toContain(Buffer.from(secret, 'base64').toString('latin1'))
    }
  })

  test('is tried in a dry run without any secret', async () => {
    await bench.create({dryRun: true})
    expect(requestOf(0)?.seal).toBeNull()
  })

  test.each([
    ['another seal than that of its run', {seal: ELSEWHERE}],
    ['no seal', {seal: undefined}],
  ])('is refused when a new pack has %s', async (_what, change) => {
    bench.bends.packList = (packs) => packs.map((pack) => ({...pack, ...change}) as PackRecord)
    await expect(bench.create()).rejects.toMatchObject({
      code: expect.stringMatching(/^(?:WORKER|INTEGRITY)$/) as unknown,
    })
    expect(await bench.store.keysBelow('snapshots/')).toEqual([])
  })

  test('is refused when its new packs lie there with other seals than they are named by', async () => {
    bench.bends.packList = (packs) => packs.map((pack) => ({...pack, seal: lastBitOf(pack.seal)}))
    await expect(bench.create()).rejects.toMatchObject({
      code: 'INTEGRITY',
      message: expect.stringContaining('does not have the seal it is named by') as unknown,
    })
    expect(await bench.store.keysBelow('snapshots/')).toEqual([])
  })

  test.each(['segments', 'packs'] as const)(
    'is refused when its %s have no seal',
    async (which) => {
      bench.bends.result = (result) => {
        const {index} = result
        if (!index) return result
        const {seal: _, ...packs} = index.packs
        const segments = index.segments.map(({seal: __, ...segment}) => segment)
        return {...result, index: {...index, ...(which === 'packs' ? {packs} : {segments})}}
      }
      await expect(bench.create()).rejects.toMatchObject({code: 'WORKER'})
    },
  )

  test('is refused when a pack of the parent comes with another seal', async () => {
    await bench.create()
    bench.bends.packList = (packs) => packs.map((pack) => ({...pack, seal: ELSEWHERE}))
    await expect(bench.create()).rejects.toMatchObject({code: 'WORKER'})
  })

  test('takes up packs of an interrupted run, with the seal they lie there with', async () => {
    const [pack] = await interrupted()
    if (!pack) throw new Error('no pack was stored')
    bench.bends.journal = [pack]
    expect(await bench.create()).toMatchObject({newBytes: 11})
    expect(await bench.store.keysBelow('packs/')).toEqual([pack.key])
  })

  test('does not take up a pack whose seal would not open it', async () => {
    const [pack] = await interrupted()
    if (!pack) throw new Error('no pack was stored')
    bench.bends.journal = [{...pack, seal: lastBitOf(pack.seal)}]
    await expect(bench.create()).rejects.toMatchObject({code: 'INTEGRITY'})
  })

  /** The same seal with another salt of its object. */
  function lastBitOf(seal = ''): string {
    const other = Buffer.from(seal, 'base64')
    other.writeUInt8(other.readUInt8(71) ^ 1, 71)
    return other.toString('base64')
  }

  async function interrupted(): Promise<PackRecord[]> {
    const abort = new AbortController()
    bench.bends.upload = async (key, _bytes, put) => {
      if (key.startsWith('packs/')) return put()
      abort.abort()
      return new Promise(() => {})
    }
    await expect(bench.create({}, abort.signal)).rejects.toMatchObject({code: 'INTERRUPTED'})
    delete bench.bends.upload
    const keys = await bench.store.keysBelow('packs/')
    return Promise.all(
      keys.map(async (key) => {
        const bytes = Buffer.from(await bench.store.inner.get(key))
        const pin = (await bench.store.inner.head(key))?.pins?.[0]
        if (!pin) throw new Error('no checksum')
        return {key, length: bytes.length, pin, seal: bytes.toString('base64', 24, 96)}
      }),
    )
  }
})

describe('damage in a sealed store', () => {
  let id: string
  beforeEach(async () => {
    id = (await bench.create()).id ?? ''
  })

  const change = async (key: string, make: (bytes: Buffer) => Buffer) => {
    const bytes = Buffer.from(await bench.store.inner.get(key))
    await bench.store.inner.put(key, make(bytes), {onlyIfAbsent: false})
  }
  const flipped = (at: number) => (bytes: Buffer) => {
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
    return bytes
  }

  test.each([
    ['a bit of the header changed', flipped(50)],
    ['a bit of the record changed', flipped(200)],
    ['its end is missing', (bytes: Buffer) => bytes.subarray(0, -1)],
  ])('an index object is refused when %s', async (_what, make) => {
    const {manifest} = await readManifest(sealed(), id)
    await change(manifest.index.packs.key, make)
    await expect(readPacks(sealed(), manifest)).rejects.toMatchObject({
      code: 'INTEGRITY',
      message: expect.stringContaining(manifest.index.packs.key) as unknown,
    })
  })

  test.each([
    ['a bit of it changed', flipped(100)],
    ['its end is missing', (bytes: Buffer) => bytes.subarray(0, -9)],
    ['it is not sealed', () => Buffer.from('{"format":1}')],
  ])('a manifest is listed as unreadable when %s', async (_what, make) => {
    await change(`snapshots/${id}.json`, make)
    const {snapshots, unreadable} = await listSnapshots({store: sealed()})
    expect(snapshots).toEqual([])
    expect(unreadable).toMatchObject([{id, error: {code: 'INTEGRITY'}}])
    await expect(bench.create()).rejects.toMatchObject({code: 'INTEGRITY'})
  })

  test('a manifest under the name of another snapshot is no snapshot', async () => {
    const bytes = await bench.store.inner.get(`snapshots/${id}.json`)
    const other = `${id.slice(0, -1)}${id.endsWith('a') ? 'b' : 'a'}`
    await bench.store.inner.put(`snapshots/${other}.json`, bytes)
    const {unreadable} = await listSnapshots({store: sealed()})
    expect(unreadable).toMatchObject([{id: other, error: {code: 'INTEGRITY'}}])
  })

  test('objects that changed places are refused', async () => {
    const {manifest} = await readManifest(sealed(), id)
    const [segment] = manifest.index.segments
    const list = await bench.store.inner.get(manifest.index.packs.key)
    await bench.store.inner.put(segment?.key ?? '', list, {onlyIfAbsent: false})
    await expect(showSnapshot({snapshot: id, largest: 1}, bench.service)).rejects.toMatchObject({
      code: 'INTEGRITY',
    })
  })
})

test('a manifest of an authenticated store that somebody else made is listed as unreadable', async () => {
  const proven = await benchTop(keysFor('authenticated'))
  const {id = ''} = await proven.create()
  const plain = JSON.parse(
    Buffer.from(await proven.store.inner.get(`snapshots/${id}.json`)).toString('utf8'),
  ) as Record<string, unknown>
  expect(plain['mac']).toMatch(/^[0-9a-f]{16}\.[0-9a-f]{64}$/)
  delete plain['mac']
  const forged = `${id.slice(0, -1)}${id.endsWith('a') ? 'b' : 'a'}`
  const text = JSON.stringify(plain).replaceAll(id, forged)
  await proven.store.inner.put(`snapshots/${forged}.json`, Buffer.from(text))
  const {snapshots, unreadable} = await listSnapshots({store: proven.service.store})
  expect(snapshots.map((one) => one.id)).toEqual([id])
  expect(unreadable).toMatchObject([{id: forged, error: {code: 'INTEGRITY'}}])
  await proven.remove()
})

test('seals have no place in a store that is not sealed', async () => {
  const open = await benchTop()
  open.bends.packList = (packs) => packs.map((pack) => ({...pack, seal: ELSEWHERE}))
  await expect(open.create()).rejects.toMatchObject({code: 'INTEGRITY'})
  await open.remove()
})
