import {mkdtemp, readdir, readFile, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createHash} from 'node:crypto'
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {DumontError} from '../../../src/lib/errors.js'
import type {ParityGroup} from '../../../src/lib/format/group-list.js'
import {encodeManifest, manifestKey} from '../../../src/lib/format/manifest.js'
import type {ProgressEvent} from '../../../src/lib/progress/events.js'
import {readManifest} from '../../../src/lib/snapshots/manifests.js'
import {
  repairSnapshot,
  type RepairSnapshotRequest,
} from '../../../src/lib/snapshots/repair-snapshot.js'
import type {BoxService} from '../../../src/lib/snapshots/service.js'
import type {ObjectToSign} from '../../../src/lib/worker/protocol.js'
import type {OperatorMessage} from '../../../src/lib/worker/requests.js'
import {describeRepair} from '../../../src/ui/describe-repair.js'
import {ManualClock} from '../../support/manual-clock.js'
import {ScriptedWorker} from '../../support/scripted-worker.js'
import {addParity} from './parity-store.js'
import {WatchedStore} from './watched-store.js'

const GOLDEN = 'test/fixtures/format-1/store'
/** Leans on two others, so that it has three packs. */
const ID = '20261123T160200Z-golde3'

type Repair = Extract<OperatorMessage, {type: 'repair'}>
/** What the box does about one lost object. */
type Act = (worker: RepairWorker, key: string) => Promise<void>

const clock = new ManualClock()
let stateDir: string
let store: WatchedStore
/** Every object as it was stored. */
let kept: Map<string, Uint8Array>
let packs: ParityGroup
let index: ParityGroup
let events: ProgressEvent[]
let act: Act
/** Keys that the box was asked for, request by request. */
let asked: string[][]
/** Numbers of packs that the box finds damaged when it reads them. */
let rotten: number[]

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'dumont-state-'))
  store = new WatchedStore(clock)
  for (const entry of await readdir(GOLDEN, {recursive: true, withFileTypes: true})) {
    const file = join(entry.parentPath, entry.name)
    if (entry.isFile()) await store.inner.put(file.slice(GOLDEN.length + 1), await readFile(file))
  }
  const plain = (await readManifest(store, ID)).manifest
  const {groups, manifest} = await addParity(store.inner, plain, 2)
  await store.inner.remove([manifestKey(ID)])
  await store.inner.put(manifestKey(ID), encodeManifest(manifest))
  ;[packs, index] = groups as [ParityGroup, ParityGroup]
  kept = new Map()
  for (const key of await store.keysBelow()) kept.set(key, await store.inner.get(key))
  store.log.length = 0
  ;[events, asked, rotten] = [[], [], []]
  act = (worker, key) => worker.makeAgain(key)
})
afterEach(() => rm(stateDir, {force: true, recursive: true}))

/** Makes things again from what the test has kept of them. */
class RepairWorker extends ScriptedWorker {
  #questions = 0
  request: Repair | undefined

  constructor() {
    super()
    this.greet()
    void this.#verify()
    void this.#repair()
  }

  async sign(object: ObjectToSign): Promise<void> {
    this.say({type: 'sign', id: ++this.#questions, objects: [object]})
    await this.hears('reply')
  }

  async makeAgain(key: string, bytes = kept.get(key) ?? new Uint8Array(0)): Promise<void> {
    await this.sign(objectOf(key))
    await store.put(key, bytes)
    this.say({type: 'repaired', key, length: bytes.length})
  }

  async #verify(): Promise<void> {
    const {id, ranges} = await this.hears('verify')
    for (const [first, last] of ranges)
      for (let pack = first; pack <= last; pack += 1) {
        const reason = rotten.includes(pack) ? 'rotten' : null
        this.say({type: 'checked', pack, reason, chunks: reason ? null : [], bases: []})
      }
    this.say({type: 'result', to: id, packs: 1, bytes: 1, besides: 0, seconds: 1})
  }

  async #repair(): Promise<void> {
    for (;;) {
      this.request = await this.hears('repair')
      asked.push([...this.request.lost])
      for (const key of this.request.lost) await act(this, key)
      this.say({
        type: 'result',
        to: this.request.id,
        repaired: 0,
        hopeless: 0,
        bytes: 0,
        seconds: 1,
      })
    }
  }
}

function objectOf(key: string): ObjectToSign {
  const all = [packs, index].flatMap((group) => [...group.members, ...group.parity])
  const found = all.find((one) => one.key === key)
  if (!found) throw new Error(`${key} is in no group`)
  const kinds = {packs: 'pack', parity: 'parity', index: 'segment'} as const
  const folder = key.split('/')[0] as keyof typeof kinds
  const kind = key.endsWith('/packs') ? 'packs' : kinds[folder]
  return {kind, part: 0, length: found.length, pin: found.pin, key}
}

function withoutKey(object: ObjectToSign): ObjectToSign {
  const {key: _, ...others} = object
  return others
}

function repair(change: Partial<RepairSnapshotRequest> = {}, signal?: AbortSignal) {
  const service: BoxService = {
    clock,
    equip: async () => ({argv: ['python']}),
    openSession: async () => new RepairWorker().session(),
    random: (count) => createHash('sha512').digest().subarray(0, count),
    report: (event) => events.push(event),
    stateDir,
    store,
    version: '0.1.0',
  }
  const request = {host: 'root@gpu1', level: 'listed', parts: 4, snapshot: ID, ...change} as const
  return repairSnapshot(request, service, signal)
}

const member = (number: number) => packs.members[number]?.key ?? ''
const parity = (number: number) => packs.parity[number]?.key ?? ''
const drop = (...keys: string[]) => store.inner.remove(keys)

async function spoil(key: string): Promise<Uint8Array> {
  const bytes = Uint8Array.from(kept.get(key) ?? [])
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
  await drop(key)
  await store.inner.put(key, bytes)
  return bytes
}

async function expectAllAsKept(): Promise<void> {
  for (const [key, bytes] of kept)
    expect([key, Buffer.compare(await store.inner.get(key), bytes)]).toEqual([key, 0])
}

describe('a repair', () => {
  test('makes again what is missing, under its own name, and proves it', async () => {
    await drop(member(0), parity(1))
    const result = await repair()
    expect(result).toMatchObject({damaged: [], hopeless: [], id: ID})
    expect([...result.repaired].toSorted()).toEqual([member(0), parity(1)].toSorted())
    await expectAllAsKept()
    // Read back here, not only listed.
    const {log} = store
    expect(log.lastIndexOf(`get ${member(0)}`)).toBeGreaterThan(log.indexOf(`put ${member(0)}`))
    expect(log.filter((line) => line.startsWith('remove'))).toEqual([])
    expect(describeRepair(result)).toMatch(/2 objects made again and proven[^]*nothing is damaged/)
  })

  test('of a whole snapshot does nothing', async () => {
    const result = await repair()
    expect(result).toMatchObject({damaged: [], repaired: []})
    expect(asked).toEqual([])
    expect(describeRepair(result)).toMatch(/nothing is damaged or missing/)
  })

  test('removes what is damaged only after this machine has read it, and right before', async () => {
    await spoil(member(1))
    rotten = [1]
    expect(await repair({level: 'stored'})).toMatchObject({damaged: [], repaired: [member(1)]})
    const {log} = store
    const removed = log.indexOf(`remove ${member(1)}`)
    expect(log.indexOf(`get ${member(1)}`)).toBeLessThan(removed)
    expect(log.indexOf(`put ${member(1)}`)).toBe(removed + 1)
    await expectAllAsKept()
  })

  test('makes rotten parity again, which it reads here', async () => {
    await spoil(parity(0))
    expect(await repair({level: 'stored'})).toMatchObject({damaged: [], repaired: [parity(0)]})
    await expectAllAsKept()
  })

  test.each(['0', 'packs'])('makes the index object %s again first', async (name) => {
    const key = `index/${ID}/${name}`
    await drop(key, member(0))
    expect(await repair()).toMatchObject({damaged: []})
    expect(asked).toEqual([[key], [member(0)]])
    await expectAllAsKept()
  })

  test('asks for what is missing before what is damaged', async () => {
    await spoil(member(0))
    await drop(member(1))
    rotten = [0]
    await repair({level: 'stored'})
    expect(asked).toEqual([[member(1)], [member(0)]])
  })

  test('of a snapshot without parity is refused', async () => {
    await expect(repair({snapshot: '20261123T140200Z'})).rejects.toMatchObject({
      code: 'USAGE',
      hint: expect.stringContaining('--parity'),
    })
  })

  test('whose list of groups is damaged is refused', async () => {
    await drop(`index/${ID}/groups`)
    await expect(repair()).rejects.toMatchObject({code: 'INTEGRITY'})
  })
})

describe('what cannot be made again', () => {
  test('is told with the reason, and stays damaged', async () => {
    await drop(member(0))
    act = async (worker, key) => void worker.say({type: 'hopeless', key, message: 'too\u001b many'})
    const result = await repair()
    expect(result).toMatchObject({
      damaged: [{key: member(0), reason: 'missing'}],
      hopeless: [{key: member(0), message: 'too\\u{1b} many'}],
      repaired: [],
    })
    expect(describeRepair(result)).toMatch(/DAMAGED still: 1[^]*too/)
  })

  test('of the index ends it', async () => {
    await drop(`index/${ID}/0`)
    act = async (worker, key) => void worker.say({type: 'hopeless', key, message: 'too many'})
    await expect(repair()).rejects.toMatchObject({
      code: 'INTEGRITY',
      message: expect.stringContaining('too many'),
    })
  })

  test('is not believed to be damaged when it is not', async () => {
    rotten = [0]
    const result = await repair({level: 'stored'})
    expect(asked).toEqual([])
    expect(result.hopeless).toMatchObject([{key: member(0)}])
    await expectAllAsKept()
  })
})

describe('a box that lies', () => {
  test('and says that it stored what it did not is found out', async () => {
    await drop(member(0))
    act = async (worker, key) => void worker.say({type: 'repaired', key, length: 1})
    expect(await repair()).toMatchObject({damaged: [{key: member(0)}], repaired: []})
  })

  test('and takes the URL without storing anything costs nothing of what was there', async () => {
    const damaged = await spoil(member(0))
    rotten = [0]
    act = (worker, key) => worker.sign(objectOf(key))
    expect(await repair({level: 'stored'})).toMatchObject({repaired: []})
    expect(Buffer.compare(await store.inner.get(member(0)), damaged)).toBe(0)
    expect(events).toContainEqual(
      expect.objectContaining({message: expect.stringContaining('put back')}),
    )
  })

  test.each<[string, (object: ObjectToSign) => ObjectToSign]>([
    ['another object', (object) => ({...object, key: member(1)})],
    ['no object', withoutKey],
    ['other bytes', (object) => ({...object, pin: {kind: 'crc32', value: 'AAAAAA=='}})],
    ['another length', (object) => ({...object, length: object.length + 1})],
    ['another kind', (object) => ({...object, kind: 'parity'})],
  ])('and asks for a URL for %s gets none', async (_, change) => {
    await drop(member(0))
    act = (worker, key) => worker.sign(change(objectOf(key)))
    await expect(repair()).rejects.toMatchObject({code: 'WORKER'})
    expect(store.log.filter((line) => line.startsWith('remove'))).toEqual([])
  })

  test('and speaks of objects that nobody asked for is cut off', async () => {
    await drop(member(0))
    act = async (worker) => void worker.say({type: 'repaired', key: member(1), length: 1})
    await expect(repair()).rejects.toMatchObject({code: 'WORKER'})
  })

  test('gets no URL for what is whole again by then', async () => {
    await drop(member(0))
    act = async (worker, key) => {
      await store.inner.put(key, kept.get(key) ?? new Uint8Array(0))
      await worker.makeAgain(key)
    }
    await expect(repair()).rejects.toMatchObject({code: 'STORE_BUSY', retry: 'now'})
    await expectAllAsKept()
  })
})

test('a lock that keeps a damaged object is told as such, after what was missing is there again', async () => {
  await spoil(member(0))
  await drop(member(1))
  rotten = [0]
  store.before = (operation) => {
    if (operation === 'remove')
      throw new DumontError('ACCESS_DENIED', 'a lock of bucket b keeps it from being removed')
  }
  await expect(repair({level: 'stored'})).rejects.toMatchObject({
    code: 'ACCESS_DENIED',
    message: expect.stringContaining('lock'),
  })
  expect(await store.inner.head(member(1))).toBeDefined()
})

test('what cannot be put back is told, and hides no other failure', async () => {
  await spoil(member(0))
  rotten = [0]
  act = async (worker, key) => {
    await worker.sign(objectOf(key))
    store.before = () => {
      throw new DumontError('UNREACHABLE', 'the store does not answer')
    }
    worker.say({type: 'error', to: 1, code: 'WORKER', message: 'out of order'})
  }
  await expect(repair({level: 'stored'})).rejects.toMatchObject({message: 'out of order'})
  expect(events).toContainEqual(
    expect.objectContaining({code: 'put-back', message: expect.stringContaining(member(0))}),
  )
})

test('interrupted in the middle, it leaves what was damaged where it was', async () => {
  const damaged = await spoil(member(0))
  rotten = [0]
  const stop = new AbortController()
  act = async (worker, key) => {
    await worker.sign(objectOf(key))
    stop.abort(new DumontError('INTERRUPTED', 'interrupted'))
  }
  await expect(repair({level: 'stored'}, stop.signal)).rejects.toMatchObject({code: 'INTERRUPTED'})
  expect(Buffer.compare(await store.inner.get(member(0)), damaged)).toBe(0)
})
