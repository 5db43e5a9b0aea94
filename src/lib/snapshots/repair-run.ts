import {DumontError, isDumontError} from '../errors.js'
import type {ParityGroup, StoredObject} from '../format/group-list.js'
import type {Manifest} from '../format/manifest.js'
import type {PackRecord} from '../format/pack-list.js'
import {pinOf, samePin} from '../store/pin.js'
import {untrusted} from '../untrusted.js'
import {offProtocol} from '../worker/protocol.js'
import type {ConnectedBox} from './connect-worker.js'
import {memoryFor} from './create-request.js'
import {grantFetch, readableOf} from './fetching.js'
import type {Damage} from './findings.js'
import {objectsOf} from './group-claim.js'
import {readHere, type ReadPacks} from './pack-readers.js'
import {readOnBox} from './read-on-box.js'
import {RepairDesk} from './repair-desk.js'
import type {RepairSnapshotRequest} from './repair-snapshot.js'
import type {BoxService} from './service.js'
import {damagedIndex, readPacks} from './stored-index.js'
import {verifySnapshot, type VerifyResult} from './verify-snapshot.js'
import {drawnTurn} from './verify-turn.js'

/** Keys that one request names, so that it stays a message of bearable length. */
const AT_ONCE = 4000

/** What a repair stands on, on one connection. */
export interface RepairGiven {
  readonly asked: Pick<RepairSnapshotRequest, 'level' | 'memory' | 'parts'>
  readonly box: ConnectedBox
  readonly groups: readonly ParityGroup[]
  readonly list: NonNullable<Manifest['index']['groups']>
  readonly manifest: Manifest
  readonly service: BoxService
  /** Kept when another connection goes on. */
  readonly told: {readonly repaired: Set<string>; readonly hopeless: Map<string, string>}
}

/** One connection's work on a repair. */
export class RepairRun {
  readonly #given: RepairGiven
  readonly #grouped: ReadonlyMap<string, StoredObject>

  constructor(given: RepairGiven) {
    this.#given = given
    this.#grouped = new Map(
      given.groups.flatMap(objectsOf).map((object) => [object.key, object] as const),
    )
  }

  /** Gives what is damaged still; rejects INTEGRITY when the index is lost. */
  async run(signal?: AbortSignal): Promise<readonly Damage[]> {
    const {asked, box, manifest, service} = this.#given
    const {store} = service
    const index = await damagedIndex(store, manifest, signal)
    if (index.length > 0) {
      await this.#make(index, signal)
      const left = await damagedIndex(store, manifest, signal)
      if (left.length > 0) throw this.#indexLost(left)
    }
    const found = await this.#look(asked.level, readOnBox(box, asked, service), undefined, signal)
    if (found.damaged.length === 0 && this.#given.told.repaired.size === 0) return []
    await this.#make(
      found.damaged.map(({key}) => key),
      signal,
    )
    // With this machine's own eyes, and every chunk against its hash.
    const {repaired} = this.#given.told
    const proven = await this.#look('stored', readHere(store), repaired, signal)
    const others = found.damaged.filter(
      ({key}) => !repaired.has(key) && !proven.damaged.some((one) => one.key === key),
    )
    return [...proven.damaged, ...others]
  }

  /** Verifies with another pair of eyes, and reads all packs or only these. */
  #look(
    level: RepairSnapshotRequest['level'],
    read: ReadPacks,
    only: ReadonlySet<string> | undefined,
    signal?: AbortSignal,
  ): Promise<VerifyResult> {
    const {manifest, service} = this.#given
    const drawn = drawnTurn(service, {decode: false, limit: undefined, share: 1})
    const choose: typeof drawn.choose = async (present, of) =>
      (await drawn.choose(present, of)).filter((number) =>
        only ? only.has(of.packs[number]?.key ?? '') : true,
      )
    const turn = {...drawn, choose, read}
    return verifySnapshot(service, {level, manifest, sample: 1, turn}, signal)
  }

  /** What is missing first: that needs nothing to be removed, and no lock can forbid it. */
  async #make(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    const {store} = this.#given.service
    const missing: StoredObject[] = []
    const damaged: StoredObject[] = []
    for (const key of keys) {
      const object = this.#grouped.get(key)
      const info = object && (await store.head(key, signal))
      if (!object) this.#hopeless(key, 'it is in no group, so there is no parity for it')
      else if (!info) missing.push(object)
      else if (await isWhole(store, object, signal))
        this.#hopeless(key, 'its bytes are those that were stored: parity would give the same')
      else damaged.push(object)
    }
    for (const some of [missing, damaged])
      for (let first = 0; first < some.length; first += AT_ONCE)
        await this.#request(some.slice(first, first + AT_ONCE), signal)
  }

  async #request(objects: readonly StoredObject[], signal?: AbortSignal): Promise<void> {
    const {asked, box, groups, list, manifest, service, told} = this.#given
    const {report, store} = service
    const lost = new Map(objects.map((object) => [object.key, object]))
    const desk = new RepairDesk({lost, reach: box.reach, report, store})
    const packs: readonly PackRecord[] = await readPacks(store, manifest, signal).catch(() => [])
    const readable = readableOf(manifest.index, packs, groups)
    report({kind: 'step', step: 'repair', state: 'started'})
    try {
      await box.worker.repair(
        {
          type: 'repair',
          snapshot: manifest.id,
          segments: manifest.index.segments,
          packs: manifest.index.packs,
          groups: list,
          lost: [...lost.keys()],
          parts: Math.min(asked.parts, box.reach.most),
          memory: memoryFor(box.worker.hello, asked.memory),
        },
        {
          fetch: (wanted, raw = false) => grantFetch(wanted, {raw, readable, store}, box.reach),
          hopeless: ({key, message}) => this.#hopeless(known(lost, key), message),
          progress: (progress) => report({kind: 'transfer', progress}),
          repaired: ({key}) => {
            told.repaired.add(known(lost, key))
            told.hopeless.delete(key)
            report({kind: 'note', message: `${key} was made again`})
          },
          settle: (key) => desk.settle(key, signal),
          sign: (wanted) => desk.sign(wanted, signal),
        },
        signal,
      )
    } finally {
      await desk.putBack()
    }
    report({kind: 'step', step: 'repair', state: 'done'})
  }

  #hopeless(key: string, message: string): void {
    this.#given.told.hopeless.set(key, untrusted(message, 300))
  }

  #indexLost(keys: readonly string[]): DumontError {
    const {manifest, told} = this.#given
    const [key = ''] = keys
    const why = told.hopeless.get(key) ?? 'the box did not make it again'
    return new DumontError('INTEGRITY', `${key} is lost: ${why}`, {
      hint: `dumont snapshot restore ${manifest.id} --salvage brings back what is whole`,
    })
  }
}

function known(lost: ReadonlyMap<string, StoredObject>, key: string): string {
  if (lost.has(key)) return key
  throw offProtocol(`word of ${key}, which is not lost`)
}

/** By its bytes, whatever the store says of them. */
async function isWhole(
  store: BoxService['store'],
  {key, length, pin}: StoredObject,
  signal?: AbortSignal,
): Promise<boolean> {
  try {
    const bytes = await store.get(key, {limit: length}, signal)
    return bytes.length === length && samePin(pinOf(pin.kind, bytes), pin)
  } catch (error) {
    if (isDumontError(error) && error.code === 'INTEGRITY') return false
    throw error
  }
}
