import {mkdir, mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {systemClock} from '../../../src/lib/clock.js'
import {proveEndurance} from '../../../src/lib/instances/store-endurance.js'
import type {Instance} from '../../../src/lib/providers/provider.js'
import type {Session} from '../../../src/lib/remote/session.js'
import {MemoryStore} from '../../../src/lib/store/memory-store.js'
import {openRepository} from '../../../src/lib/store/repository.js'
import {openStore} from '../../../src/lib/store/open-store.js'
import type {Endurance, Store} from '../../../src/lib/store/store.js'

const opened: {close(): Promise<void>; folder?: string}[] = []
let memory: Store

beforeEach(async () => {
  memory = new MemoryStore({clock: systemClock})
  opened.push(memory)
  await openRepository(memory, {create: true})
})
afterEach(async () => {
  for (const one of opened.splice(0)) {
    await one.close()
    if (one.folder !== undefined) await rm(one.folder, {force: true, recursive: true})
  }
})

async function directory(parent: string): Promise<Store> {
  await mkdir(parent, {recursive: true})
  const folder = await mkdtemp(join(parent, 'dumont-endurance-'))
  const store = await openStore({kind: 'directory', path: folder}, {clock: systemClock})
  opened.push({close: () => store.close(), folder})
  await openRepository(store, {create: true})
  return store
}

/** A bucket that answers so about its rules. */
function bucket(endurance?: Endurance): Store {
  return new Proxy(memory, {
    get(store, name) {
      if (name === 'endurance') return endurance && (async () => endurance)
      if (name === 'url') return 's3://bucket/prefix'
      const value: unknown = Reflect.get(store, name)
      return typeof value === 'function' ? value.bind(store) : value
    },
  })
}

interface Asked {
  readonly acknowledged?: boolean
  readonly local?: boolean
  readonly named?: boolean
}

async function messages(
  store: Store,
  {acknowledged = false, local = false, named = false}: Asked = {},
) {
  const {checks, refusals} = await proveEndurance(store, {
    instance: {
      endpoints: [{host: '127.0.0.1', port: 22, user: 'root', via: 'direct'}],
    } as unknown as Instance,
    lifecycleAcknowledged: acknowledged,
    session: {isLocal: local} as Session,
    storeNamed: named,
  })
  expect(checks.length).toBe(refusals.length === 0 ? 1 : 0)
  return refusals.map(({message}) => message)
}

describe('a directory', () => {
  test('does when it was named on the command', async () => {
    const store = await directory('.cache')
    expect(await messages(store, {named: true})).toEqual([])
    expect(await messages(store)).toEqual([expect.stringContaining('the only copy')])
  })
  test('in memory never does', async () => {
    const store = await directory('/dev/shm')
    expect(await messages(store, {named: true})).toEqual(['the store is a directory in memory'])
  })
  test('never does when dumont runs on the box', async () => {
    const store = await directory('.cache')
    expect(await messages(store, {local: true, named: true})).toEqual([
      expect.stringContaining('runs on the box itself'),
    ])
  })
  test('that was never tested for writing once does not', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'dumont-endurance-'))
    const store = await openStore({kind: 'directory', path: folder}, {clock: systemClock})
    opened.push({close: () => store.close(), folder})
    expect(await messages(store, {named: true})).toEqual([expect.stringContaining('never tested')])
  })
})

describe('a bucket', () => {
  test('does when no rule touches it', async () => {
    expect(await messages(bucket({kind: 'kept'}))).toEqual([])
  })
  test('does not when a rule removes what is in it, whatever is acknowledged', async () => {
    const store = bucket({kind: 'expires', rules: ['old: removed after 30 days']})
    expect(await messages(store, {acknowledged: true})).toEqual([
      expect.stringContaining('old: removed after 30 days'),
    ])
  })
  test('whose rules cannot be read does only when that was acknowledged', async () => {
    const store = bucket({kind: 'unreadable', reason: 'AccessDenied, HTTP 403'})
    expect(await messages(store)).toEqual([expect.stringContaining('AccessDenied')])
    expect(await messages(store, {acknowledged: true})).toEqual([])
  })
  test.each(['127.0.0.1', 'localhost'])('served by the box as %s does not', async (host) => {
    expect(await messages(bucket({host, kind: 'kept'}))).toEqual([
      'the store is served by the box itself',
    ])
  })
  test('that cannot be asked does not', async () => {
    expect(await messages(bucket())).toEqual(['the store does not outlive this program'])
  })
})
