import {createHash} from 'node:crypto'
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {DumontError} from '../../../src/lib/errors.js'
import {encodeManifest, manifestKey} from '../../../src/lib/format/manifest.js'
import {makeSnapshotId} from '../../../src/lib/format/snapshot-id.js'
import type {ClaimOwner} from '../../../src/lib/instances/claim-owner.js'
import type {
  HibernateParts,
  HibernateRequest,
  OpenBox,
} from '../../../src/lib/instances/hibernate-request.js'
import type {InstanceService} from '../../../src/lib/instances/instance-service.js'
import type {Receipt, Refusal} from '../../../src/lib/instances/receipt-terms.js'
import type {WakeParts, WakeRequest} from '../../../src/lib/instances/wake-request.js'
import type {ProgressEvent} from '../../../src/lib/progress/events.js'
import {mintDestroyProof} from '../../../src/lib/providers/destroy-proof.js'
import type {ExecResult, Session} from '../../../src/lib/remote/session.js'
import {surveyManifests} from '../../../src/lib/snapshots/manifests.js'
import type {RestoreSummary} from '../../../src/lib/snapshots/restore-snapshot.js'
import type {StoreKeys} from '../../../src/lib/seal/store-keys.js'
import {keyedStore} from '../../../src/lib/store/keyed-store.js'
import {MemoryStore} from '../../../src/lib/store/memory-store.js'
import {openRepository} from '../../../src/lib/store/repository.js'
import type {Store} from '../../../src/lib/store/store.js'
import {manifestOf} from '../snapshots/manifest-of.js'
import {FakeVendor} from './fake-vendor.js'
import {HastyClock} from './hasty-clock.js'

/** What is on one box. */
export interface FakeBox {
  content: string
  busy: string[]
  frozen: boolean
  restoring: boolean
  restored: string | undefined
}

/** Dies at a given moment: whatever it awaits from then on never answers, as nobody is there. */
export type Mortal = <T>(act: () => Promise<T>) => Promise<T>

const ALIVE: Mortal = (act) => act()

/** Vendor, store, boxes and operator's disk, which outlive each run of dumont. */
export class InstanceWorld {
  readonly clock = new HastyClock()
  readonly vendor = new FakeVendor(this.clock)
  /** What lies in the store. */
  readonly inner = new MemoryStore({clock: this.clock})
  readonly store: Store
  readonly stateDir = mkdtempSync(join(tmpdir(), 'instances-'))
  readonly boxes = new Map<string, FakeBox>()
  readonly events: ProgressEvent[] = []
  readonly hooks: {readonly command: string; readonly data: Record<string, unknown>}[] = []
  hookCode = 0
  refusals: Refusal[] = []
  voids: Refusal[] = []
  /** Called before each snapshot. */
  beforeTake: (box: FakeBox, count: number) => void = () => {}
  probe: WakeParts['probe'] | undefined
  inspect: WakeParts['inspect'] = async () => undefined
  restoreFault: ((id: string) => Error | undefined) | undefined
  provisioning = 0
  #random = 0
  #taken = 0

  constructor(keys?: StoreKeys) {
    this.store = keys ? keyedStore(this.inner, keys) : this.inner
  }

  async open(): Promise<this> {
    await openRepository(this.store, {create: true})
    return this
  }

  async close(): Promise<void> {
    await this.store.close()
    rmSync(this.stateDir, {recursive: true, force: true})
  }

  /** A box that was there before, with work on it. */
  addBox(...changes: Parameters<FakeVendor['addBox']>): string {
    const id = this.vendor.addBox(...changes)
    this.box(id).content = `work of ${id}`
    return id
  }

  box(id: string): FakeBox {
    const known = this.boxes.get(id)
    if (known) return known
    const box = {content: '', busy: [], frozen: false, restoring: false, restored: undefined}
    this.boxes.set(id, box)
    return box
  }

  owner(id = 'aaaa.1', atWork: (owner: string) => boolean = (other) => !other.startsWith('aaaa.')) {
    return {id, isAtWork: atWork} satisfies ClaimOwner
  }

  service(owner: ClaimOwner = this.owner(), mortal = ALIVE): InstanceService {
    const {clock, stateDir} = this
    return {
      clock: {now: () => clock.now(), sleep: (ms, signal) => mortal(() => clock.sleep(ms, signal))},
      equip: async () => ({argv: ['worker']}),
      openSession: (host) => mortal(async () => this.#session(host)),
      owner,
      provider: wrapped(this.vendor.provider(), mortal),
      random: (count) => this.#bytes(count),
      report: (event) => this.events.push(event),
      stateDir,
      store: wrapped(this.store, mortal),
      version: '0.1.0',
    }
  }

  hibernateParts(mortal = ALIVE): HibernateParts {
    return {
      open: ({account, instance}) =>
        mortal(async () => this.#openBox(instance.id, {account, instance, mortal})),
      take: ({host, name}) =>
        mortal(async () => {
          const box = this.box(host.slice(4))
          this.#alive(host.slice(4))
          this.beforeTake(box, (this.#taken += 1))
          return this.#take(box.content, name ?? 'none')
        }),
    }
  }

  wakeParts(mortal = ALIVE): WakeParts {
    return {
      probe: (question, signal) =>
        mortal(async () => {
          const {id} = question.instance
          return this.probe ? this.probe(question, signal) : {kind: 'open', host: `box-${id}`}
        }),
      inspect: (question, signal) => mortal(() => this.inspect(question, signal)),
      restore: async ({host, snapshot}) => {
        const id = host.slice(4)
        const box = this.box(id)
        await mortal(async () => {
          this.#alive(id)
          box.restoring = true
        })
        return mortal(async () => {
          const fault = this.restoreFault?.(id)
          if (fault) throw fault
          box.restoring = false
          box.restored = snapshot
          return restored(snapshot, host)
        })
      },
    }
  }

  #openBox(
    id: string,
    {account, instance, mortal}: Parameters<HibernateParts['open']>[0] & {readonly mortal: Mortal},
  ): OpenBox {
    this.#alive(id)
    const box = this.box(id)
    return {
      host: `box-${id}`,
      busy: () => mortal(async () => box.busy),
      stopBusy: () => mortal(async () => void (box.busy = [])),
      freeze: () =>
        mortal(async () => {
          box.frozen = true
          return () => mortal(async () => void (box.frozen = false))
        }),
      prove: (snapshotId) =>
        mortal(async () => {
          this.#alive(id)
          if (this.refusals.length > 0) return {kind: 'refused', refusals: this.refusals}
          const of = {provider: 'vast', account, id, createdAt: instance.createdAt}
          return {kind: 'proven', receipt: this.#receipt(snapshotId, of)}
        }),
      recheck: () => mortal(async () => this.voids),
      close: async () => {},
    }
  }

  #receipt(snapshotId: string, instance: Receipt['instance']): Receipt {
    const now = this.clock.now()
    return {
      proof: mintDestroyProof({kind: 'receipt', instance, expiresAt: now + 600_000}),
      snapshotId,
      manifestSha256: '0'.repeat(64),
      instance,
      bootId: 'boot',
      identity: {bootId: 'boot', started: 1, by: 'environment'},
      repositoryId: '0'.repeat(32),
      storeUrl: 'memory:',
      roots: ['/workspace'],
      issuedAt: now,
      expiresAt: now + 600_000,
      discarded: [],
      watched: {roots: ['/workspace'], since: 0, survives: []},
      checks: [],
    }
  }

  async #take(content: string, label: string) {
    const {readable} = await surveyManifests(this.store)
    const before = readable.filter(({manifest}) => manifest.label === label)
    const sequence = before.length + 1
    const id = makeSnapshotId(new Date(this.clock.now()), this.#bytes(6))
    const merkle = merkleOf(content)
    const lineage = createHash('md5').update(label).digest('hex')
    const {manifest} = manifestOf(id, {
      label,
      lineage,
      sequence,
      created: new Date(this.clock.now() + sequence).toISOString(),
      bytes: {raw: 30e9, new: 1, stored: 1, all: 20e9, codecs: {}},
      index: {...manifestOf(id).manifest.index, merkle},
    })
    await this.store.put(manifestKey(id), encodeManifest(manifest))
    const saved = {id, lineage, label, sequence, rawBytes: 30e9, storedBytes: 20e9}
    return {saved: {...saved, provenAt: null}, merkle, uploaded: 1_000_000}
  }

  /** A box whose contract ended or that does not run answers nobody. */
  #alive(id: string): void {
    const contract = this.vendor.find(id)
    if (contract?.ended || (contract?.phase ?? 'running') !== 'running')
      throw new DumontError('UNREACHABLE', `box-${id} does not answer`)
  }

  #session(host: string): Session {
    const answer = (code: number): ExecResult => ({code, stdout: Buffer.from(''), stderr: ''})
    return {
      label: host,
      isLocal: false,
      exec: async ([program, flag, command], options) => {
        if (program === 'sh' && flag === '-c') {
          const data = JSON.parse(Buffer.from(options?.stdin ?? []).toString()) as never
          this.hooks.push({command: command ?? '', data})
          return answer(this.hookCode)
        }
        if (program === 'test') return answer((this.provisioning -= 1) >= 0 ? 0 : 1)
        if (program === 'find')
          return {...answer(0), stdout: Buffer.from(this.box(host.slice(4)).content)}
        return answer(0)
      },
      start: () => Promise.reject(new Error('nothing is started here')),
      forward: () => Promise.reject(new Error('nothing is forwarded here')),
      lost: new Promise<never>(() => {}),
      close: async () => {},
    }
  }

  #bytes(count: number): Uint8Array {
    this.#random += 1
    return createHash('sha256').update(String(this.#random)).digest().subarray(0, count)
  }
}

/** Runs until it ends or is killed before, or after, the deed of one of its steps. */
export async function untilKilled<T>(
  killAt: number,
  isAfter: boolean,
  run: (mortal: Mortal) => Promise<T>,
): Promise<{readonly value: T} | {readonly error: unknown} | 'killed'> {
  let steps = 0
  let die = () => {}
  const death = new Promise<'killed'>((resolve) => (die = () => resolve('killed')))
  const never = new Promise<never>(() => {})
  const mortal: Mortal = async (act) => {
    steps += 1
    if (steps > killAt) return never
    if (steps < killAt) return act()
    if (isAfter) await act().catch(() => undefined)
    die()
    return never
  }
  const ended = run(mortal).then(
    (value) => ({value}),
    (error: unknown) => ({error}),
  )
  return Promise.race([ended, death])
}

export function merkleOf(content: string): string {
  return createHash('sha256').update(content).digest('hex')
}

export function hibernateRequest(
  id: string,
  changes: Partial<HibernateRequest> = {},
): HibernateRequest {
  return {
    id,
    goal: 'destroy',
    snapshot: {
      paths: ['/workspace'],
      excludes: [],
      excludeCaches: false,
      crossMounts: false,
      parts: 4,
      codec: 'auto',
      level: 3,
      acceptRollback: false,
    },
    busy: 'refuse',
    maxWaitMs: 60_000,
    level: 'stored',
    sample: 0.05,
    discard: [],
    confirm: async () => true,
    ...changes,
  }
}

export function wakeRequest(what: string, changes: Partial<WakeRequest> = {}): WakeRequest {
  return {
    what,
    fork: false,
    overwrite: false,
    count: 1,
    dryRun: false,
    env: {HF_TOKEN: 'hf_very_secret'},
    publicKeys: ['ssh-ed25519 AAAA me'],
    restore: {parts: 4},
    confirm: async () => true,
    ...changes,
  }
}

function restored(id: string, host: string): RestoreSummary {
  return {
    id,
    lineage: '1'.repeat(32),
    label: 'train',
    hosts: [
      {
        host,
        ok: true,
        counts: {},
        bytes: {raw: 1, fetched: 1, written: 1},
        same: 0,
        written: 1,
        deleted: 0,
        failed: 0,
        damaged: 0,
        failures: [],
        warnings: {count: 0, byCode: {}, first: []},
        notes: {},
        seconds: 1,
      },
    ],
    failed: 0,
    torn: 0,
    seconds: 1,
  }
}

/** The same object, of which every asynchronous method dies with its run. */
export function wrapped<T extends object>(target: T, mortal: Mortal): T {
  return new Proxy(target, {
    get(from, property) {
      const value: unknown = Reflect.get(from, property, from)
      if (typeof value !== 'function' || property === 'list') {
        if (property !== 'list' || typeof value !== 'function') return value
        return listing(value.bind(from), mortal)
      }
      return (...given: unknown[]) => mortal(async () => value.apply(from, given) as unknown)
    },
  })
}

/** A vendor answers a promise, a store an iterable. */
function listing(list: (...given: unknown[]) => unknown, mortal: Mortal) {
  return (...given: unknown[]) => {
    const answer = list(...given)
    if (answer instanceof Promise) {
      // Nobody is left to hear the failure of a call that a dead run began.
      answer.catch(() => undefined)
      return mortal(() => answer)
    }
    return (async function* entries() {
      await mortal(async () => undefined)
      yield* answer as AsyncIterable<unknown>
    })()
  }
}
