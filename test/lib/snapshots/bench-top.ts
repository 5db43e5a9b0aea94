import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createHash} from 'node:crypto'
import type {ProgressEvent} from '../../../src/lib/progress/events.js'
import type {CreateSnapshotRequest} from '../../../src/lib/snapshots/create-request.js'
import {createSnapshot} from '../../../src/lib/snapshots/create-snapshot.js'
import type {SnapshotSummary} from '../../../src/lib/snapshots/create-summary.js'
import type {BoxService} from '../../../src/lib/snapshots/service.js'
import type {StoreKeys} from '../../../src/lib/seal/store-keys.js'
import {keyedStore} from '../../../src/lib/store/keyed-store.js'
import {ManualClock} from '../../support/manual-clock.js'
import {GoodWorker, type Bends} from './good-worker.js'
import {WatchedStore} from './watched-store.js'

export const REPOSITORY = 'd'.repeat(32)

/** A store, a box with a worker, and an operator, all in memory. */
export interface BenchTop {
  readonly clock: ManualClock
  readonly store: WatchedStore
  readonly service: BoxService
  readonly events: ProgressEvent[]
  /** What the box holds and how its worker behaves; tests change it at will. */
  readonly bends: Bends
  readonly workers: GoodWorker[]
  create(request?: Partial<CreateSnapshotRequest>, signal?: AbortSignal): Promise<SnapshotSummary>
  notes(): string[]
  remove(): Promise<void>
}

/** With keys the service works on the store behind them; `store` shows what lies there. */
export async function benchTop(keys?: StoreKeys): Promise<BenchTop> {
  const clock = new ManualClock()
  const store = new WatchedStore(clock)
  const created = new Date(clock.now()).toISOString()
  await store.inner.put(
    'dumont.json',
    Buffer.from(JSON.stringify({format: 1, id: REPOSITORY, created, pin: 'crc32'})),
  )
  const stateDir = await mkdtemp(join(tmpdir(), 'dumont-state-'))
  const events: ProgressEvent[] = []
  const workers: GoodWorker[] = []
  const bends: Bends = {files: {a: 'apple', b: 'banana'}}
  let drawn = 0
  const service: BoxService = {
    store: keys ? keyedStore(store, keys) : store,
    clock,
    random: (count) => createHash('sha512').update(String(drawn++)).digest().subarray(0, count),
    stateDir,
    report: (event) => events.push(event),
    version: '0.1.0',
    openSession: async () => {
      const worker = new GoodWorker(store, bends)
      workers.push(worker)
      return worker.session()
    },
    equip: async () => ({argv: ['python']}),
  }
  return {
    clock,
    store,
    service,
    events,
    bends,
    workers,
    create: (request, signal) => createSnapshot({...REQUEST, ...request}, service, signal),
    notes: () => events.flatMap((event) => (event.kind === 'note' ? [event.message] : [])),
    remove: async () => {
      await store.close()
      await rm(stateDir, {recursive: true, force: true})
    },
  }
}

export const REQUEST: CreateSnapshotRequest = {
  host: 'root@gpu1',
  paths: ['/workspace'],
  excludes: [],
  excludeCaches: false,
  crossMounts: false,
  parts: 4,
  codec: 'auto',
  level: 3,
  dryRun: false,
  acceptRollback: false,
}
