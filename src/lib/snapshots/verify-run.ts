import {createHash} from 'node:crypto'
import {isDumontError, type DumontError} from '../errors.js'
import type {PackRecord} from '../format/pack-list.js'
import {choosePacks} from './choose-packs.js'
import type {StoredManifest} from './manifests.js'
import {mapBounded} from './map-bounded.js'
import {headProblem} from './pack-check.js'
import {readHere} from './pack-readers.js'
import type {Proof, ProofLedger, Reader} from './proof-ledger.js'
import {ReadMeter} from './read-meter.js'
import type {StoreService} from './service.js'
import {readGroups, readPacks} from './stored-index.js'
import {withGroups} from './stored-objects.js'
import {verifySnapshot, type VerifyResult} from './verify-snapshot.js'
import type {BrokenSnapshot, VerifyManyRequest, VerifyManyResult} from './verify-snapshots.js'
import type {VerifyTurn} from './verify-turn.js'

/** What a run stands on. */
export type VerifyService = Pick<StoreService, 'clock' | 'random' | 'report' | 'stateDir' | 'store'>

/** One run over several snapshots. */
export class VerifyRun {
  readonly #request: VerifyManyRequest
  readonly #service: VerifyService
  readonly #ledger: ProofLedger
  readonly #chosen: ReadonlyMap<string, PackRecord>
  readonly #since: number
  readonly #now: number
  readonly #meter: ReadMeter
  readonly #heads = new Map<string, Promise<string | undefined>>()
  readonly #named = new Set<string>()
  readonly #read = new Set<string>()
  readonly #earlier = new Set<string>()
  readonly #done: VerifyResult[] = []
  readonly #broken: BrokenSnapshot[]

  private constructor(
    request: VerifyManyRequest,
    service: VerifyService,
    ledger: ProofLedger,
    {chosen, now, since}: {chosen: ReadonlyMap<string, PackRecord>; since: number; now: number},
  ) {
    this.#request = request
    this.#service = service
    this.#ledger = ledger
    this.#chosen = chosen
    this.#since = since
    this.#now = now
    const total = [...chosen.values()].reduce((sum, {length}) => sum + length, 0)
    this.#meter = new ReadMeter(total, service.report)
    this.#broken = request.unreadable.map(({error, id}) => brokenBy(id, error))
  }

  static async begin(
    request: VerifyManyRequest,
    service: VerifyService,
    ledger: ProofLedger,
    signal?: AbortSignal,
  ): Promise<VerifyRun> {
    const {again, choice, level} = request
    const now = service.clock.now()
    if (level === 'listed')
      return new VerifyRun(request, service, ledger, {chosen: new Map(), now, since: now})
    const packs = await allPacks(request.snapshots, service, signal)
    const lastAt = (pack: PackRecord) => ledger.lastAt({by: readerOf(request), level, pack})
    const chosen = choosePacks(packs, choice, {lastAt, random: service.random})
    // Whoever reads a part at a time goes on with the next part anyway.
    const since = choice.kind === 'all' ? await ledger.begin(scopeOf(request), now, again) : now
    return new VerifyRun(request, service, ledger, {chosen, now, since})
  }

  async look(manifest: StoredManifest['manifest'], signal?: AbortSignal): Promise<void> {
    const {choice, level} = this.#request
    const sample = choice.kind === 'share' ? choice.share : 1
    try {
      const turn = this.#turn()
      const request = {level, manifest, sample, turn}
      this.#done.push(await verifySnapshot(this.#service, request, signal))
    } catch (error) {
      if (!isDumontError(error) || !['FORMAT_NEWER', 'INTEGRITY'].includes(error.code)) throw error
      if (this.#request.snapshots.length === 1) throw error
      this.#broken.push(brokenBy(manifest.id, error))
    }
  }

  async end(): Promise<void> {
    if (this.#request.level !== 'listed' && this.#request.choice.kind === 'all')
      await this.#ledger.end(scopeOf(this.#request))
  }

  result(): Omit<VerifyManyResult, 'seconds'> {
    return {
      asserted: this.#request.box !== undefined,
      broken: this.#broken,
      bytesRead: this.#done.reduce((sum, one) => sum + one.bytesRead, 0),
      level: this.#request.level,
      packs: this.#named.size,
      packsEarlier: this.#earlier.size,
      packsRead: this.#read.size,
      snapshots: this.#done,
    }
  }

  #turn(): VerifyTurn {
    const {box} = this.#request
    const {store} = this.#service
    return {
      choose: async (present, {chunks, packs}) => {
        const chosen = packs
          .map((_, number) => number)
          .filter((number) => this.#isChosen(packs[number]))
        const here = new Set(present)
        for (const number of chosen)
          if (!here.has(number) && chunks.byPack.has(number))
            await this.#note(packs[number] as PackRecord, [])
        return chosen.filter(
          (number) =>
            here.has(number) &&
            this.#isDue(packs[number] as PackRecord, chunks.byPack.get(number) ?? []),
        )
      },
      done: async (pack, chunks, whole) => {
        this.#read.add(pack.key)
        this.#meter.done(pack)
        // Without chunks nothing would tell a proof from a turn that it had.
        if (whole || chunks.length > 0) await this.#note(pack, whole ? chunks : [])
      },
      head: (pack, signal) => {
        this.#named.add(pack.key)
        const name = `${pack.key} ${pack.length} ${pack.pin.kind} ${pack.pin.value}`
        const known = this.#heads.get(name) ?? headProblem(store, pack, signal)
        this.#heads.set(name, known)
        return known
      },
      read: box ?? readHere(store),
    }
  }

  #isChosen(pack: PackRecord | undefined): boolean {
    return pack !== undefined && this.#chosen.has(pack.key)
  }

  /** Whether the pack was not yet read in this run, for all of these chunks. */
  #isDue(pack: PackRecord, chunks: Proof['chunks']): boolean {
    const at = this.#ledger.provenAt(this.#proof(pack, chunks))
    if (at === undefined || at < this.#since) return true
    if (!this.#read.has(pack.key)) this.#earlier.add(pack.key)
    this.#meter.done(pack, true)
    return false
  }

  async #note(pack: PackRecord, chunks: Proof['chunks']): Promise<void> {
    await this.#ledger.note(this.#proof(pack, chunks), this.#now)
  }

  #proof(pack: PackRecord, chunks: Proof['chunks']): Proof {
    const level = this.#request.level === 'decoded' ? 'decoded' : 'stored'
    return {by: readerOf(this.#request), chunks, level, pack}
  }
}

function readerOf({box}: VerifyManyRequest): Reader {
  return box ? 'box' : 'operator'
}

/** What makes two runs the same. A snapshot that came meanwhile is part of all of them. */
function scopeOf(request: VerifyManyRequest): string {
  const {level, snapshots, unreadable} = request
  const only = snapshots.length + unreadable.length === 1 ? (snapshots[0]?.id ?? '') : 'all'
  const named = [readerOf(request), level, only].join(' ')
  return createHash('sha256').update(named).digest('hex').slice(0, 16)
}

/** The packs of all snapshots, each once; of one whose list is damaged none, which is found out later. */
async function allPacks(
  snapshots: readonly StoredManifest[],
  {store}: VerifyService,
  signal?: AbortSignal,
): Promise<readonly PackRecord[]> {
  const lists = await mapBounded(
    snapshots,
    8,
    async ({manifest}) => {
      try {
        const packs = await readPacks(store, manifest, signal)
        return withGroups(packs, await readGroups(store, manifest, signal)).objects
      } catch (error) {
        if (isDumontError(error) && error.code === 'INTEGRITY') return []
        throw error
      }
    },
    signal,
  )
  return [...new Map(lists.flat().map((pack) => [pack.key, pack])).values()]
}

function brokenBy(id: string, {code, message}: DumontError): BrokenSnapshot {
  return {error: {code, message}, id}
}
