import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import type {PackRecord} from '../../../src/lib/format/pack-list.js'
import {readManifest} from '../../../src/lib/snapshots/manifests.js'
import type {ObjectToSign, WorkerMessage} from '../../../src/lib/worker/protocol.js'
import type {CreateResult, IndexClaim} from '../../../src/lib/worker/results.js'
import {readPacks} from '../../../src/lib/snapshots/stored-index.js'
import {benchTop, type BenchTop} from './bench-top.js'
import type {Bends} from './good-worker.js'

const FOREIGN = 'packs/20200101T000000Z-aaaaaa/0-0-1'

let bench: BenchTop
beforeEach(async () => {
  bench = await benchTop()
})
afterEach(() => bench.remove())

const snapshots = () => bench.store.keysBelow('snapshots/')

describe('a snapshot', () => {
  test('is committed last, after every object of it was seen in the store', async () => {
    const {id} = await bench.create()
    const {log} = bench.store
    const commit = log.indexOf(`put snapshots/${id}.json`)
    const keys = (await bench.store.keysBelow()).filter((key) => key.includes(`/${id}/`))
    expect(keys).toHaveLength(3)
    for (const key of keys) {
      expect(log.indexOf(`put ${key}`)).toBeLessThan(log.indexOf(`head ${key}`))
      expect(log.indexOf(`head ${key}`)).toBeLessThan(commit)
    }
    expect(log.slice(commit + 1).filter((line) => line.startsWith('put'))).toEqual([])
  })

  test('says what it is', async () => {
    const summary = await bench.create({name: 'train-a'})
    expect(summary).toMatchObject({
      label: 'train-a',
      sequence: 1,
      files: 2,
      rawBytes: 11,
      newBytes: 11,
      incomplete: false,
    })
    const {manifest} = await readManifest(bench.store, summary.id ?? '')
    expect(manifest).toMatchObject({
      parent: null,
      counts: {entries: 3},
      bytes: {all: 123, stored: 123},
    })
  })

  test('is labelled by host, port and path unless it has a name', async () => {
    expect(await bench.create()).toMatchObject({label: 'gpu1:22:/workspace'})
  })

  test('leans on the one before it and stores nothing twice', async () => {
    const first = await bench.create()
    const packs = await bench.store.keysBelow('packs/')
    const second = await bench.create()
    expect(second).toMatchObject({
      lineage: first.lineage,
      sequence: 2,
      parent: first.id,
      newBytes: 0,
      storedBytes: 0,
    })
    expect(await bench.store.keysBelow('packs/')).toEqual(packs)
    const parent = await readManifest(bench.store, first.id ?? '')
    const {manifest} = await readManifest(bench.store, second.id ?? '')
    expect(manifest.parent).toEqual({id: first.id, sha256: parent.sha256})
  })

  test('of another box behind the same name begins a lineage of its own and says so', async () => {
    const first = await bench.create({name: 'train'})
    const {HELLO} = await import('../../support/scripted-worker.js')
    bench.bends.hello = {host: {...HELLO.host, box: 'e'.repeat(64)}}
    const second = await bench.create({name: 'train'})
    expect(second.lineage).not.toBe(first.lineage)
    expect(second.newBytes).toBe(11)
    expect(bench.notes().join()).toMatch(/another box/)
  })

  test('with something torn is incomplete', async () => {
    bench.bends.indexLines = (lines) =>
      lines.map((line) => (line['path'] === 'a' ? {...line, torn: true} : line))
    bench.bends.result = (result) => ({...result, counts: {...result.counts, torn: 1}})
    await expect(bench.create()).rejects.toMatchObject({message: expect.stringContaining('Merkle')})
    expect(await snapshots()).toEqual([])
  })

  test('with something unreadable is incomplete', async () => {
    bench.bends.result = (result) => ({...result, counts: {...result.counts, unreadable: 1}})
    expect(await bench.create()).toMatchObject({incomplete: true})
  })

  test('that is only tried stores nothing', async () => {
    const before = await bench.store.keysBelow()
    expect(await bench.create({dryRun: true})).toMatchObject({dryRun: true, files: 2})
    expect(await bench.store.keysBelow()).toEqual(before)
  })

  test('needs a path where the box has no /workspace', async () => {
    await expect(bench.create({paths: ['relative']})).rejects.toMatchObject({code: 'USAGE'})
  })

  test.each(['', 'a\nb', 'x'.repeat(300)])('is not called %p', async (name) => {
    await expect(bench.create({name})).rejects.toMatchObject({code: 'USAGE'})
  })

  test('is refused when the store shows less than this machine has seen', async () => {
    await bench.create()
    const second = await bench.create()
    await bench.store.inner.remove([`snapshots/${second.id}.json`])
    await expect(bench.create()).rejects.toMatchObject({
      code: 'INTEGRITY',
      hint: expect.stringContaining('--accept-rollback'),
    })
    expect(await bench.create({acceptRollback: true})).toMatchObject({sequence: 2})
  })

  test('reads every file again when that is longer ago than is asked for', async () => {
    const day = 24 * 3_600_000
    const asked: boolean[] = []
    bench.bends.onCreate = async (_, {reread}) => void asked.push(reread)
    const first = await bench.create({rereadAfterMs: day})
    await bench.clock.advance(day - 1)
    const second = await bench.create({rereadAfterMs: day})
    await bench.clock.advance(2)
    const third = await bench.create({rereadAfterMs: day})
    const fourth = await bench.create()
    expect(asked).toEqual([true, false, true, false])
    const since = await Promise.all(
      [first, second, third, fourth].map(async ({id}) => {
        const {manifest} = await readManifest(bench.store, id ?? '')
        return manifest.readSince
      }),
    )
    expect(since[0]).toBe(since[1])
    expect(since[2]).toBe(since[3])
    expect(Date.parse(since[2] ?? '') - Date.parse(since[0] ?? '')).toBeGreaterThan(day)
  })

  test('whose parent has lost its index stores everything again', async () => {
    const first = await bench.create()
    await bench.store.inner.remove([`index/${first.id}/0`])
    expect(await bench.create()).toMatchObject({sequence: 2, newBytes: 11})
    expect(bench.notes().join()).toMatch(/stored again/)
  })
})

describe('a worker that lies', () => {
  const wrong = 'f'.repeat(64)
  const saying = (change: (result: CreateResult) => object): Partial<Bends> => ({
    result: (result) => ({...result, ...change(result)}),
  })
  const indexing = (change: (index: IndexClaim) => object): Partial<Bends> =>
    saying(({index}) => ({index: index && {...index, ...change(index)}}))
  const listing = (change: (pack: PackRecord) => object): Partial<Bends> => ({
    packList: (packs) => packs.map((pack) => ({...pack, ...change(pack)})),
  })
  const storing = (
    folder: string,
    instead: (bytes: Buffer) => Buffer | undefined,
  ): Partial<Bends> => ({
    upload: async (key, bytes, put) => {
      if (!key.startsWith(folder)) return put()
      const other = instead(Buffer.from(bytes))
      if (other) await bench.store.inner.put(key, other)
    },
  })

  test.each<[string, Partial<Bends>, RegExp]>([
    ['about the Merkle root', indexing(() => ({merkle: wrong})), /Merkle root/],
    ['about a digest', indexing(({packs}) => ({packs: {...packs, sha256: wrong}})), /SHA-256/],
    ['about a length', indexing(({packs}) => ({packs: {...packs, length: 9}})), /not given/],
    ['about the entries', indexing(() => ({entries: 4})), /entries 4 instead of 3/],
    ['about the chunks', indexing(() => ({chunks: 1})), /chunks 1 instead of 2/],
    ['about its counts', saying(({counts}) => ({counts: {...counts, files: 3}})), /counts/],
    ['about its bytes', saying(({bytes}) => ({bytes: {...bytes, raw: 12}})), /bytes/],
    ['about the decoders', saying(() => ({decoders: ['zstd']})), /decoders/],
    ['by leaving the index out', saying(() => ({index: undefined})), /without an index/],
    ['by naming another index', indexing(({packs}) => ({segments: [packs]})), /not given/],
    ['by naming a foreign pack', listing(() => ({key: FOREIGN})), /no right to name/],
    ['about the length of a pack', listing(({length}) => ({length: length + 1})), /no right/],
    ['about a checksum', listing(() => ({pin: {kind: 'crc32', value: 'AAAAAA=='}})), /no right/],
    [
      'about a chunk',
      {
        indexLines: (lines) =>
          lines.map(({at, ...line}) => ({...line, ...('chunk' in line && {at: Number(at) + 99})})),
      },
      /outside the listed packs/,
    ],
    ['by leaving out an entry', {indexLines: (lines) => lines.slice(0, -1)}, /Merkle root/],
    ['about having stored its index', storing('index/', () => undefined), /not in the store/],
    [
      'about the bytes of its index',
      storing('index/', (bytes) => bytes.fill(0)),
      /not in the store/,
    ],
    ['about having stored its pack', storing('packs/', () => undefined), /went missing/],
    ['about the bytes of its pack', storing('packs/', (bytes) => bytes.fill(0)), /went missing/],
  ])('%s leaves no snapshot', async (_name, bends, complaint) => {
    Object.assign(bench.bends, bends)
    await expect(bench.create()).rejects.toMatchObject({
      name: 'DumontError',
      message: expect.stringMatching(complaint),
    })
    expect(await snapshots()).toEqual([])
  })
})

describe('a worker that asks for what it must not have', () => {
  const pin = {kind: 'crc32', value: 'AAAAAA=='} as const
  const pack = {kind: 'pack', part: 0, length: 100, pin} as const
  const sign = (...objects: readonly ObjectToSign[]): WorkerMessage => ({
    type: 'sign',
    id: 99,
    objects: [...objects],
  })

  test.each<[string, WorkerMessage, RegExp]>([
    ['a foreign pack', {type: 'fetch', id: 99, keys: [FOREIGN]}, /none of its business/],
    ['the repository', {type: 'fetch', id: 99, keys: ['dumont.json']}, /none of its business/],
    ['a key of its own', sign({...pack, key: FOREIGN}), /something else under/],
    ['to settle a foreign key', {type: 'settle', id: 99, key: FOREIGN}, /not given/],
    ['a pack of 33 MiB', sign({...pack, length: 33 * 2 ** 20}), /bytes/],
    ['an empty pack', sign({...pack, length: 0}), /0 bytes/],
    ['another checksum', sign({...pack, pin: {...pin, kind: 'md5'}}), /checksum/],
    ['more than two uploads a part', sign(...Array.from({length: 9}, () => pack)), /more than 8/],
    ['a part it does not have', sign({...pack, part: 4}), /part 4/],
    ['to delete', {type: 'confirm', id: 99, what: 'delete', count: 1, examples: []}, /confirm/],
  ])('%s is cut off and leaves no snapshot', async (_name, message, complaint) => {
    bench.bends.onCreate = async (worker) => void worker.say(message)
    await expect(bench.create()).rejects.toMatchObject({
      code: 'WORKER',
      message: expect.stringMatching(complaint),
    })
    expect(await snapshots()).toEqual([])
  })

  test('more bytes than there are is cut off', async () => {
    bench.bends.onCreate = async (worker) => {
      for (let number = 0; number < 40; number++)
        await worker.sign([{...pack, length: 32 * 2 ** 20}])
    }
    await expect(bench.create()).rejects.toMatchObject({
      code: 'WORKER',
      message: expect.stringMatching(/far more/),
    })
  })
})

describe('packs that vanish', () => {
  test('after they were stored are stored again under another key', async () => {
    let removed = 0
    bench.store.before = async (operation, key) => {
      if (operation === 'list' && key.startsWith('packs/') && removed++ === 0)
        await bench.store.inner.remove(await bench.store.keysBelow('packs/'))
    }
    const {id} = await bench.create()
    expect(await snapshots()).toEqual([`snapshots/${id}.json`])
    expect((await bench.store.keysBelow('packs/')).every((key) => key.includes(id ?? '?'))).toBe(
      true,
    )
  })

  test('again and again end the run without a snapshot', async () => {
    bench.store.before = async (operation, key) => {
      if (operation === 'list' && key.startsWith('packs/'))
        await bench.store.inner.remove(await bench.store.keysBelow('packs/'))
    }
    await expect(bench.create()).rejects.toMatchObject({code: 'STORE_BUSY'})
    expect(await snapshots()).toEqual([])
  })

  test('from the parent are not named again', async () => {
    await bench.create()
    const before = await bench.store.keysBelow('packs/')
    await bench.store.inner.remove(before)
    const second = await bench.create()
    expect(second).toMatchObject({sequence: 2, newBytes: 11})
    expect(await bench.store.keysBelow('packs/')).not.toEqual(before)
    expect(bench.workers.at(-1)?.heard.filter(({type}) => type === 'create')).toHaveLength(1)
  })

  test('because a mark is on them are not named again', async () => {
    await bench.create()
    const packs = await bench.store.keysBelow('packs/')
    await mark(packs)
    expect(await bench.create()).toMatchObject({sequence: 2, newBytes: 11})
  })

  test('because somebody marks them while the worker works are stored again', async () => {
    await bench.create()
    const packs = await bench.store.keysBelow('packs/')
    let times = 0
    bench.bends.onCreate = async () => {
      if (times++ === 0) await mark(packs)
    }
    expect(await bench.create()).toMatchObject({sequence: 2, newBytes: 11})
    expect(times).toBe(2)
  })

  test('because a sweep ends while they are looked for are noticed', async () => {
    await bench.create()
    const packs = await bench.store.keysBelow('packs/')
    bench.bends.files = {a: 'apple', c: 'cherry'}
    let times = 0
    bench.bends.onCreate = async () => {
      if (times++ === 0) await mark(packs)
    }
    bench.store.after = async (operation, key) => {
      // The packs have just been listed; the marks, had they not been read before, would now say nothing.
      if (operation !== 'list' || !key.startsWith('packs/') || times === 0) return
      await bench.store.inner.remove([...packs, 'gc/mark.json'])
    }
    const {id = ''} = await bench.create()
    const {manifest} = await readManifest(bench.store, id)
    const needed = (await readPacks(bench.store, manifest)).map(({key}) => key)
    expect(await bench.store.keysBelow('packs/')).toEqual(expect.arrayContaining(needed))
    expect(times).toBe(2)
  })

  async function mark(keys: readonly string[]): Promise<void> {
    const created = new Date(bench.clock.now()).toISOString()
    await bench.store.inner.put(
      'gc/mark.json',
      Buffer.from(JSON.stringify({format: 1, created, keys})),
    )
  }
})

describe('the commit', () => {
  const isManifest = (key: string) => key.startsWith('snapshots/')

  test('that was accepted unheard is done', async () => {
    bench.store.after = (operation, key) => {
      if (operation === 'put' && isManifest(key)) throw unreachable()
    }
    const {id} = await bench.create()
    expect(await snapshots()).toEqual([`snapshots/${id}.json`])
  })

  test('that was not accepted leaves nothing', async () => {
    bench.store.before = (operation, key) => {
      if (operation === 'put' && isManifest(key)) throw unreachable()
    }
    await expect(bench.create()).rejects.toMatchObject({code: 'UNREACHABLE'})
    expect(await snapshots()).toEqual([])
  })

  test('never takes the place of another snapshot', async () => {
    bench.store.before = async (operation, key) => {
      if (operation === 'put' && isManifest(key))
        await bench.store.inner.put(key, Buffer.from('another'))
    }
    await expect(bench.create()).rejects.toMatchObject({code: 'INTEGRITY'})
    const [key = ''] = await snapshots()
    expect(Buffer.from(await bench.store.get(key)).toString()).toBe('another')
  })

  test('is not made on a check that is older than a quarter of an hour', async () => {
    let slow = 1
    bench.store.before = async (operation, key) => {
      const isCheck = operation === 'list' && key.startsWith('packs/')
      if (isCheck && slow-- > 0) await bench.clock.advance(16 * 60_000)
    }
    await expect(longCreate()).resolves.toMatchObject({sequence: 1})
    expect(bench.store.log.filter((line) => line.startsWith('list packs'))).toHaveLength(2)
  })

  test('is given up when every check takes that long', async () => {
    bench.store.before = async (operation, key) => {
      if (operation === 'list' && key.startsWith('packs/')) await bench.clock.advance(16 * 60_000)
    }
    await expect(longCreate()).rejects.toMatchObject({code: 'STORE_BUSY'})
    expect(await snapshots()).toEqual([])
  })

  test('that came so late that a sweep was faster is not called a snapshot', async () => {
    await bench.create()
    bench.bends.files = {a: 'apple', c: 'cherry'}
    bench.store.before = async (operation, key) => {
      if (operation !== 'put' || !isManifest(key)) return
      await bench.clock.advance(2 * 3_600_000)
      await bench.store.inner.remove(await bench.store.keysBelow('packs/'))
    }
    await expect(longCreate()).rejects.toMatchObject({code: 'INTEGRITY'})
  })

  test('that came late stands when nothing is missing', async () => {
    let slept = false
    bench.store.before = async (operation, key) => {
      if (operation === 'put' && isManifest(key) && !slept) {
        slept = true
        await bench.clock.advance(2 * 3_600_000)
      }
    }
    await expect(longCreate()).resolves.toMatchObject({sequence: 1})
  })

  test('stands when the sweep after it fails', async () => {
    bench.store.before = (operation, key) => {
      const isCommitted = bench.store.log.some((line) => line.startsWith('put snapshots'))
      if (operation === 'list' && key === 'gc/' && isCommitted) throw unreachable()
    }
    const {id} = await bench.create()
    expect(await snapshots()).toEqual([`snapshots/${id}.json`])
    expect(bench.events).toContainEqual(expect.objectContaining({kind: 'warning', code: 'sweep'}))
  })

  /** The worker is alive all the time: the clock of a test moves in leaps. */
  function longCreate() {
    const alive = setInterval(() => bench.workers.at(-1)?.say({type: 'heartbeat'}), 0)
    return bench.create().finally(() => clearInterval(alive))
  }
})

describe('an interruption', () => {
  test.each(['before', 'after'] as const)(
    '%s any step leaves no manifest, or a whole snapshot',
    async (when) => {
      let committed = 0
      let isOver = false
      for (let step = 1; !isOver; step++) {
        const top = await benchTop()
        const abort = new AbortController()
        let steps = 0
        top.store[when] = () => {
          if (++steps === step) abort.abort()
        }
        const outcome = await top.create({}, abort.signal).then(
          ({id}) => id,
          (error: {code: string}) => error.code,
        )
        const keys = await top.store.keysBelow('snapshots/')
        expect(keys).toEqual(outcome === 'INTERRUPTED' ? [] : [`snapshots/${outcome}.json`])
        if (keys.length > 0) committed++
        isOver = steps < step
        await top.remove()
      }
      // The very last runs are those that were interrupted after the commit, or not at all.
      expect(committed).toBeGreaterThan(0)
    },
  )

  test('after the last check comes before the commit', async () => {
    const abort = new AbortController()
    bench.store.after = (operation, key) => {
      if (operation === 'head' && key.startsWith('packs/')) abort.abort()
    }
    await expect(bench.create({}, abort.signal)).rejects.toMatchObject({code: 'INTERRUPTED'})
    expect(await snapshots()).toEqual([])
  })

  test('is taken up again with the packs that were stored', async () => {
    const packs = await interrupted()
    const foreign = packs.map((pack) => ({...pack, key: FOREIGN}))
    bench.bends.journal = [...packs, ...foreign]
    bench.store.log.length = 0
    expect(await bench.create()).toMatchObject({reusedPacks: 1, newBytes: 11, storedBytes: 123})
    expect(bench.workers.at(-1)?.accepted).toEqual(packs.map(({key}) => key))
    expect(await bench.store.keysBelow('packs/')).toEqual(packs.map(({key}) => key))
    // Once when they are accepted, once before the commit.
    expect(bench.store.log.filter((line) => line === `head ${packs[0]?.key}`)).toHaveLength(2)
  })

  test('does not lend its packs to another lineage', async () => {
    bench.bends.journal = await interrupted()
    await bench.create({name: 'other'})
    expect(bench.workers.at(-1)?.accepted).toEqual([])
  })

  async function interrupted(): Promise<PackRecord[]> {
    const abort = new AbortController()
    bench.bends.upload = async (key, _bytes, put) => {
      if (key.startsWith('packs/')) return put()
      abort.abort()
      return new Promise(() => {})
    }
    await expect(bench.create({}, abort.signal)).rejects.toMatchObject({code: 'INTERRUPTED'})
    delete bench.bends.upload
    const infos = await Promise.all(
      (await bench.store.keysBelow('packs/')).map((key) => bench.store.head(key)),
    )
    return infos.flatMap((info) =>
      info?.pins?.[0] ? [{key: info.key, length: info.length, pin: info.pins[0]}] : [],
    )
  }
})

function unreachable(): Error {
  return Object.assign(new Error('cut'), {name: 'DumontError', code: 'UNREACHABLE'})
}
