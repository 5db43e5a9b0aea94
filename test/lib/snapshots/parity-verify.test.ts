import {randomBytes} from 'node:crypto'
import {cp, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import type {ParityGroup} from '../../../src/lib/format/group-list.js'
import {manifestKey, parseManifest, type Manifest} from '../../../src/lib/format/manifest.js'
import {proveSnapshot} from '../../../src/lib/instances/snapshot-proof.js'
import {repairable} from '../../../src/lib/snapshots/stored-objects.js'
import {verifySnapshot, type VerifyLevel} from '../../../src/lib/snapshots/verify-snapshot.js'
import {verifySnapshots} from '../../../src/lib/snapshots/verify-snapshots.js'
import {openStore} from '../../../src/lib/store/open-store.js'
import type {Store} from '../../../src/lib/store/store.js'
import {describeVerify} from '../../../src/ui/describe-verify.js'
import {ManualClock} from '../../support/manual-clock.js'
import {addParity} from './parity-store.js'

/** Leans on two others, so that it has three packs. */
const ID = '20261123T160200Z-golde3'
const clock = new ManualClock()
let directory: string
let store: Store
let manifest: Manifest
let packs: ParityGroup

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dumont-parity-'))
  await cp('test/fixtures/format-1/store', directory, {recursive: true})
  store = await openStore({kind: 'directory', path: directory}, {clock})
  const key = manifestKey(ID)
  const plain = parseManifest(await store.get(key), key)
  const added = await addParity(store, plain, 2)
  manifest = added.manifest
  packs = added.groups[0] as ParityGroup
})
afterEach(async () => {
  await store.close()
  await rm(directory, {force: true, recursive: true})
})

const service = () => ({clock, random: randomBytes, report: () => {}, stateDir: directory, store})
const verify = (level: VerifyLevel) => verifySnapshot(service(), {level, manifest, sample: 1})
const member = (number: number) => packs.members[number]?.key ?? ''
const parity = (number: number) => packs.parity[number]?.key ?? ''
const drop = (...keys: string[]) => store.remove(keys)

async function spoil(key: string) {
  const file = join(directory, key)
  const bytes = await readFile(file)
  const middle = bytes.length >> 1
  bytes[middle] = (bytes[middle] ?? 0) ^ 1
  await writeFile(file, bytes)
}

describe('a snapshot with parity', () => {
  test.each(['listed', 'stored', 'decoded'] as const)('is whole at level %s', async (level) => {
    const result = await verify(level)
    expect(result).toMatchObject({damaged: [], damagedFiles: []})
    // Two parity objects of the packs, and two of the index.
    expect(result.parity).toBe(4)
    expect(result.packs).toBe(packs.members.length + 4)
    expect(result.packsRead).toBe(level === 'listed' ? 0 : result.packs)
  })

  test('that lost a pack can be repaired, and loses no file', async () => {
    await drop(member(0))
    const {damaged, damagedFiles, files} = await verify('listed')
    expect(damaged).toEqual([{key: member(0), reason: 'missing', repairable: true}])
    expect(damagedFiles).toEqual([])
    expect(files).toEqual({lost: 0, whole: manifest.counts.files})
  })

  test('that lost one pack and has a rotten one can be repaired', async () => {
    await drop(member(0))
    await spoil(member(1))
    const {damaged, files} = await verify('stored')
    expect(damaged).toMatchObject([
      {key: member(0), repairable: true},
      {key: member(1), repairable: true},
    ])
    expect(files.lost).toBe(0)
  })

  test('that lost more than there is parity for loses its files by name', async () => {
    await drop(member(0), member(1), parity(0))
    const {damaged, damagedFiles} = await verify('listed')
    expect(damaged.map((one) => one.repairable)).toEqual([false, false, false])
    expect(damagedFiles.length).toBeGreaterThan(0)
  })

  test('shows rot of a parity object, which costs no file', async () => {
    await spoil(parity(1))
    expect(await verify('stored')).toMatchObject({
      damaged: [{key: parity(1), repairable: true}],
      files: {lost: 0},
    })
  })

  test('whose list of groups is damaged has lost that, and no file', async () => {
    await drop(`index/${ID}/groups`)
    expect(await verify('listed')).toMatchObject({
      damaged: [{key: `index/${ID}/groups`, repairable: false}],
      files: {lost: 0},
    })
  })

  test('whose index is damaged says what may help', async () => {
    await drop(`index/${ID}/0`)
    await expect(verify('listed')).rejects.toMatchObject({
      code: 'INTEGRITY',
      hint: expect.stringContaining(`repair ${ID}`),
    })
  })

  test('is read once when a run goes on, but what is damaged is read again', async () => {
    await spoil(parity(0))
    const stored = {id: ID, manifest, sha256: '0'.repeat(64)}
    const run = async (again: boolean) => {
      const request = {
        again,
        choice: {kind: 'all'} as const,
        level: 'stored' as const,
        snapshots: [stored],
        unreadable: [],
      }
      return verifySnapshots(request, {repository: 'r', service: service()})
    }
    // Cut off when it ends, so that the second goes on.
    const cut = new AbortController()
    const report = service()
    const cutting = {
      ...report,
      report: (event: {kind: string; step?: string; state?: string}) => {
        if (event.step === 'check-packs' && event.state === 'done') cut.abort()
      },
    }
    await verifySnapshots(
      {
        again: false,
        choice: {kind: 'all'},
        level: 'stored',
        snapshots: [stored, stored],
        unreadable: [],
      },
      {repository: 'r', service: cutting},
      cut.signal,
    ).catch(() => {})
    const {packsEarlier, snapshots} = await run(false)
    expect(packsEarlier).toBe(packs.members.length + 3)
    expect(snapshots[0]?.damaged).toMatchObject([{key: parity(0), repairable: true}])
  })

  test('is told with what can be made again, and by which command', async () => {
    await drop(member(0))
    const stored = {id: ID, manifest, sha256: '0'.repeat(64)}
    const result = await verifySnapshots(
      {again: true, choice: {kind: 'all'}, level: 'listed', snapshots: [stored], unreadable: []},
      {repository: 'r', service: service()},
    )
    const text = describeVerify(result, false)
    expect(text).toMatch(/missing \(repairable\)/)
    expect(text).toMatch(/all \d+ files can come back whole/)
    expect(text).toMatch(/dumont snapshot repair ID/)
    expect(text).not.toMatch(/--salvage/)
  })
})

describe('a receipt', () => {
  const proof = (level: VerifyLevel) =>
    proveSnapshot(service(), {
      level,
      manifest,
      sample: 1,
      sampleBytes: 1e9,
    })

  test('asks for every pack itself, whatever parity could give back', async () => {
    await drop(member(0))
    expect((await proof('listed')).refusals).toMatchObject([{rule: 'packs'}])
  })

  test('asks for no parity', async () => {
    await drop(parity(0), `index/${ID}/groups`)
    expect((await proof('decoded')).refusals).toEqual([])
  })
})

describe('what can be made again', () => {
  const groups = [
    {all: [0, 1, 4, 5], parity: 2},
    {all: [2, 3, 6], parity: 1},
  ]
  test.each<[number[], number[]]>([
    [[], []],
    [[0], [0]],
    [
      [0, 1],
      [0, 1],
    ],
    [[0, 1, 4], []],
    [
      [0, 4],
      [0, 4],
    ],
    [[2, 3], []],
    [[0, 2, 3], [0]],
    [[9], []],
  ])('of %j is %j', (lost, back) => {
    expect([...repairable(groups, new Set(lost))]).toEqual(back)
  })
})
