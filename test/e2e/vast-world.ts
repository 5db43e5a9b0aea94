import {randomBytes} from 'node:crypto'
import {existsSync} from 'node:fs'
import {mkdir, readdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {systemClock} from '../../src/lib/clock.js'
import {openClaimOwner} from '../../src/lib/instances/claim-owner.js'
import {hibernate} from '../../src/lib/instances/hibernate.js'
import {openBox, type ReceiptSettings} from '../../src/lib/instances/hibernate-open-box.js'
import type {
  HibernateOutcome,
  HibernateParts,
  HibernateRequest,
} from '../../src/lib/instances/hibernate-request.js'
import {takeSnapshot} from '../../src/lib/instances/hibernate-take.js'
import type {InstanceService} from '../../src/lib/instances/instance-service.js'
import {readRecord} from '../../src/lib/instances/record-log.js'
import type {InstanceRecord} from '../../src/lib/instances/record.js'
import {openWakeParts} from '../../src/lib/instances/wake-parts.js'
import type {WakeParts, WakeRequest, WakeResult} from '../../src/lib/instances/wake-request.js'
import {wake} from '../../src/lib/instances/wake.js'
import type {ProgressEvent} from '../../src/lib/progress/events.js'
import {parseSshAddress} from '../../src/lib/remote/ssh-address.js'
import {DEFAULT_TIMINGS} from '../../src/lib/remote/ssh-dependencies.js'
import {openSshSession} from '../../src/lib/remote/ssh-session.js'
import {openStore} from '../../src/lib/store/open-store.js'
import type {StoreLocation} from '../../src/lib/store/store-location.js'
import type {Store} from '../../src/lib/store/store.js'
import {equipBox} from '../../src/lib/worker/equip-box.js'
import {loadWorkerBundle, type WorkerBundle} from '../../src/lib/worker/worker-bundle.js'
import {loopbackTarget, quietDependencies} from '../support/ssh-target.js'
import {makeKey} from '../support/sshd.js'
import {vastClient} from '../support/vast/client.js'
import {
  type ContainerBox,
  containerBoxes,
  type ContainerBoxes,
} from '../support/vast/container-boxes.js'
import {type FakeVast, startFakeVast} from '../support/vast/fake-vast.js'
import type {FakeInstance, Life} from '../support/vast/instance.js'
import {VirtualClock} from '../support/vast/virtual-clock.js'
import {ROOT, sharedHome} from './dumont.js'
import {natives} from './natives.js'
import {scratch} from './trees.js'

/** A value an instance got that must not be seen anywhere else. */
export const SECRET = 'hf_never_to_be_seen_again'

let bundle: Promise<WorkerBundle> | undefined
/** Once, so that a build in the meantime changes nothing. */
const loadBundle = () => (bundle ??= loadWorkerBundle(join(ROOT, 'dist')))
const WHEELS = {
  cacheDir: join(sharedHome(), '.cache/dumont/wheels'),
  fetch,
  indexUrl: process.env['PIP_INDEX_URL'] ?? 'https://pypi.org/simple',
}
const BETWEEN_RUNS_MS = 15_000

export interface WorldOptions {
  readonly location?: StoreLocation
  /** How long a way in may take to answer. */
  readonly readyMs?: number
}

interface Founded {
  readonly fake: FakeVast
  readonly boxes: ContainerBoxes
  readonly store: Store
  readonly folder: string
  readonly publicKey: string
  readonly readyMs: number
  readonly remove: () => Promise<void>
}

/**
 * One operator, one vendor on a clock of its own, real containers with real sshd behind its instances, a real store and the
 * real worker. Time passes only where dumont waits for the vendor; all that really works takes none of it.
 */
export class VastWorld {
  readonly events: ProgressEvent[] = []
  settings: ReceiptSettings = {
    acceptGpuOnly: false,
    lifecycleAcknowledged: false,
    storeNamed: true,
    survives: [],
  }
  /** Called before each snapshot, with its number from 1 on. */
  beforeTake: (count: number) => Promise<void> | void = () => {}
  /** Called after each snapshot. */
  afterTake: (count: number) => Promise<void> | void = () => {}
  /** Takes the place of parts of the next hibernations. */
  change: (parts: HibernateParts) => HibernateParts = (parts) => parts
  /** Called with each event, as it comes. */
  onEvent: (event: ProgressEvent) => void = () => {}
  /** Numbers of runs, from 1 on, that others shall take for alive. */
  readonly running = new Set<number>()
  #taken = 0
  #runs = 0

  readonly fake: FakeVast
  readonly boxes: ContainerBoxes
  readonly store: Store
  readonly folder: string
  readonly #publicKey: string
  readonly #readyMs: number
  readonly #remove: () => Promise<void>

  private constructor({boxes, fake, folder, publicKey, readyMs, remove, store}: Founded) {
    this.fake = fake
    this.boxes = boxes
    this.store = store
    this.folder = folder
    this.#publicKey = publicKey
    this.#readyMs = readyMs
    this.#remove = remove
  }

  static async open({
    location,
    readyMs = DEFAULT_TIMINGS.readyMs,
  }: WorldOptions = {}): Promise<VastWorld> {
    const {path: folder, remove} = await scratch()
    const boxes = await containerBoxes(await natives())
    const clock = new VirtualClock(Date.now())
    const fake = await startFakeVast({box: boxes.make, clock})
    const path = join(folder, 'store')
    const where = location ?? {kind: 'directory', path}
    const store = await openStore(where, {clock: systemClock})
    const publicKey = (await readFile(`${makeKey(join(folder, 'id'))}.pub`, 'utf8')).trim()
    return new VastWorld({boxes, fake, folder, publicKey, readyMs, remove, store})
  }

  async close(): Promise<void> {
    await this.fake.close()
    await this.boxes.close()
    await this.store.close()
    await this.#remove()
  }

  get stateDir(): string {
    return join(this.folder, 'state')
  }

  /** A contract that runs since long, whose box lets the operator in. */
  async rent(
    life: Life = {},
    order: Readonly<Record<string, unknown>> = {},
  ): Promise<FakeInstance> {
    const instance = await this.fake.rent({env: {HF_TOKEN: SECRET}, ...order}, life)
    await instance.attach(this.#publicKey)
    return instance
  }

  box(id: number | string): ContainerBox {
    return this.boxes.of(id)
  }

  /** A run of dumont of its own. */
  async service(): Promise<InstanceService> {
    const {fake} = this
    const held = <T>(work: Promise<T>) => fake.clock.during(work)
    await mkdir(this.stateDir, {recursive: true})
    // Nobody starts it twice within the spacing of the vendor's endpoints.
    fake.clock.advance(BETWEEN_RUNS_MS)
    const owner = await openClaimOwner(this.stateDir, {
      isRunning: (run) => this.running.has(run),
      random: randomBytes,
      run: (this.#runs += 1),
    })
    return {
      clock: fake.clock,
      equip: async (session, signal) =>
        equipBox(session, {bundle: await loadBundle(), wheels: WHEELS}, signal),
      openSession: (host, signal) => held(this.#connect(host, signal)),
      owner,
      provider: vastClient(fake, {timeoutMs: 20_000}),
      random: randomBytes,
      report: (event) => {
        this.events.push(event)
        this.onEvent(event)
      },
      stateDir: this.stateDir,
      store: this.store,
      version: '0.1.0',
    }
  }

  async hibernate(
    id: number | string,
    changes: Partial<HibernateRequest> = {},
    signal?: AbortSignal,
  ): Promise<HibernateOutcome> {
    const service = await this.service()
    const ways = openWakeParts(service)
    const probe: WakeParts['probe'] = (question, stop) => ways.probe(question, stop)
    // Whoever waits for the box waits in earnest; only the vendor's time passes by itself.
    const onBox = {
      ...service,
      clock: {
        now: () => this.fake.clock.now(),
        sleep: (ms: number, stop?: AbortSignal) => systemClock.sleep(ms, stop),
      },
    }
    const parts: HibernateParts = {
      open: (question, request, stop) =>
        openBox(question, request, {probe, service: onBox, settings: this.settings}, stop),
      take: async (request, stop) => {
        const count = (this.#taken += 1)
        await this.beforeTake(count)
        // What the box and the store do takes the time it takes.
        const real = {...service, clock: systemClock}
        const taken = await this.fake.clock.during(takeSnapshot(request, real, stop))
        await this.afterTake(count)
        return taken
      },
    }
    return hibernate(hibernateOf(id, changes), {parts: this.change(parts), service}, signal)
  }

  async wake(
    what: number | string,
    changes: Partial<WakeRequest> = {},
    signal?: AbortSignal,
  ): Promise<WakeResult> {
    const service = await this.service()
    const real = openWakeParts({...service, clock: systemClock})
    const parts: WakeParts = {
      ...openWakeParts(service),
      restore: (question, stop) => this.fake.clock.during(real.restore(question, stop)),
    }
    return wake(
      {...wakeOf(what), publicKeys: [this.#publicKey], ...changes},
      {parts, service},
      signal,
    )
  }

  async record(id: number | string): Promise<InstanceRecord | undefined> {
    const account = (await vastClient(this.fake).whoami()).account
    return readRecord(this.store, {account, id: String(id), provider: 'vast'})
  }

  /** How often the vendor was asked to end something. */
  get deletes(): number {
    return this.fake.requestsTo('destroy').length
  }

  /** Whatever was shown, stored or written down by dumont. */
  async everythingTold(): Promise<string> {
    const texts = [JSON.stringify(this.events)]
    for await (const {key} of this.store.list('instances/'))
      texts.push(Buffer.from(await this.store.get(key)).toString())
    for (const name of await readdir(this.stateDir, {recursive: true}))
      if (/\.(?:log|json)$/u.test(name))
        texts.push(await readFile(join(this.stateDir, name), 'utf8'))
    return texts.join('\n')
  }

  async #connect(host: string, signal?: AbortSignal) {
    const {port = 22, user = 'root'} = parseSshAddress(host)
    const knownHostsFile = join(this.folder, 'known_hosts')
    if (!existsSync(knownHostsFile)) await writeFile(knownHostsFile, '', {mode: 0o600})
    const identityFile = join(this.folder, 'id')
    const timings = {...DEFAULT_TIMINGS, readyMs: this.#readyMs}
    return openSshSession(
      loopbackTarget({identityFile, knownHostsFile, port, user}),
      quietDependencies({hostKeyPolicy: {acceptNew: true}, timings}),
      signal,
    )
  }
}

export function hibernateOf(
  id: number | string,
  changes: Partial<HibernateRequest> = {},
): HibernateRequest {
  return {
    busy: 'refuse',
    confirm: async () => true,
    discard: [],
    goal: 'destroy',
    id: String(id),
    level: 'decoded',
    maxWaitMs: 60_000,
    sample: 0.05,
    snapshot: {
      acceptRollback: false,
      codec: 'auto',
      crossMounts: false,
      excludeCaches: false,
      excludes: [],
      level: 3,
      parts: 4,
      paths: ['/workspace'],
    },
    ...changes,
  }
}

function wakeOf(what: number | string): WakeRequest {
  return {
    confirm: async () => true,
    count: 1,
    dryRun: false,
    env: {HF_TOKEN: SECRET},
    fork: false,
    overwrite: false,
    publicKeys: [],
    restore: {parts: 4},
    what: String(what),
  }
}
