import {gunzipSync} from 'node:zlib'
import {parseManifest} from '../../src/lib/format/manifest.js'
import {creates, prunes, removes, REPOSITORY, sweeps, type Actor} from '../interleaving/actors.js'
import {alone} from '../interleaving/alone.js'
import type {Code} from '../interleaving/code.js'
import {damageOf, groupedIn, packsIn} from '../interleaving/loss.js'
import {shortHash, World, type Fault} from '../interleaving/model-store.js'
import {Run} from '../interleaving/run.js'
import {hashOf} from '../lib/snapshots/good-worker.js'
import type {Dice} from './dice.js'
import {quickVerify} from './quick-verify.js'
import {Tally} from './tally.js'

type Files = Readonly<Record<string, string>>

const MINUTE = 60_000
/** What a pretended frame has before its content. */
const FRAME_HEAD = 56

/**
 * Random commands, one to three at a time and interleaved at random, on a store in memory that fails at random, with
 * commands killed and time leaping in between. After each round every snapshot that somebody was told of must be there,
 * and every file in it must be what it was. Throws with the seed and the round when one is not.
 */
export class QuickEngine {
  readonly tally = new Tally()
  readonly #world = new World()
  readonly #dice: Dice
  readonly #code: Code
  /** What must be restorable: files of every snapshot that was acknowledged and not deleted. */
  readonly #model = new Map<string, Files>()
  /** Manifests that were reported as committed too late. */
  readonly #late = new Set<string>()
  #files: Record<string, string> = {}
  #round = 0

  constructor(dice: Dice, code: Code) {
    this.#dice = dice
    this.#code = code
    const created = new Date(this.#world.now).toISOString()
    const repository = {format: 1, id: REPOSITORY, created, pin: 'crc32'}
    this.#world.put('dumont.json', Buffer.from(JSON.stringify(repository)))
  }

  async round(): Promise<void> {
    this.#round++
    this.#change()
    const [files, before] = [{...this.#files}, new Set(this.#model.keys())]
    const actors = this.#commands(files)
    const run = new Run(this.#world, actors, {code: this.#code, points: /^/u})
    await this.#play(run)
    for (const id of run.acknowledged) {
      this.#model.set(id, files)
      this.tally.add('snapshots acknowledged')
    }
    const failed = new Set(run.failures().map(({actor}) => actor))
    for (const {actor, state} of run.actors())
      this.tally.add(`${actor.name.split(' ')[0]} ${failed.has(actor) ? 'refused' : state}`)
    this.#noteLate(run)
    this.#forgetDeleted(actors, before)
    this.#check()
    if (this.#dice.isWithin(0.2)) await this.#damage()
  }

  #change(): void {
    for (let n = this.#dice.below(3); n >= 0; n--) {
      const name = `file-${this.#dice.below(6)}`
      if (this.#dice.isWithin(0.2) && Object.keys(this.#files).length > 1) delete this.#files[name]
      else this.#files[name] = `${name} ${this.#dice.below(1e9)} `.repeat(1 + this.#dice.below(4))
    }
  }

  #commands(files: Files): Actor[] {
    const ids = [...this.#model.keys()]
    const tooMany = Math.max(0, ids.length - 8)
    const count = 1 + this.#dice.below(3)
    const drawn = Array.from({length: count}, (_, number): Actor => {
      const name = `${this.#round}-${number}`
      const what = this.#dice.weighted({
        create: 5,
        delete: ids.length > 1 ? 2 + tooMany : 0,
        prune: 1,
        sweep: 2,
      })
      if (what === 'create')
        return creates(`create ${name}`, files, {parity: this.#dice.one([0, 1, 2])})
      if (what === 'prune') return prunes(`prune ${name}`, {last: 3 + this.#dice.below(3)})
      if (what === 'delete') return removes(`delete ${name}`, this.#dice.one(ids))
      return sweeps(`sweep ${name}`)
    })
    const late = [...this.#late].filter((id) => this.#world.objects.has(`snapshots/${id}.json`))
    return late.length > 0 ? [removes(`delete ${this.#round}-late`, ...late)] : drawn
  }

  async #play(run: Run): Promise<void> {
    const trouble = this.#dice.one([0, 0.01, 0.03, 0.1])
    await run.settle()
    for (let next = run.next(); next.size > 0; next = run.next()) {
      const player = this.#dice.one([...next.keys()])
      if (this.#dice.isWithin(trouble / 4)) {
        run.leap(this.#dice.one([MINUTE, 10 * MINUTE, 61 * MINUTE, 25 * 60 * MINUTE]))
        this.tally.add('leap of time')
      }
      if (this.#dice.isWithin(trouble / 4)) {
        run.kill(player)
        this.tally.add('fault: kill')
      } else if (this.#dice.isWithin(trouble)) {
        const fault = this.#dice.one<Fault>(['refused', 'unheard', 'altered'])
        const isRead = (next.get(player) ?? '').startsWith('get ')
        const kind = fault === 'altered' && !isRead ? 'refused' : fault
        this.tally.add(`fault: ${kind}`)
        await run.step(player, kind)
      } else await run.step(player)
    }
    this.#world.now += this.#dice.below(90) * MINUTE
  }

  #noteLate(run: Run): void {
    for (const {overtaken} of run.actors())
      if (overtaken !== undefined && !run.acknowledged.includes(overtaken))
        this.#late.add(overtaken)
  }

  /** Whoever was told to delete may have done so, whatever it says; a prune leaves as many as it keeps. Nobody else may. */
  #forgetDeleted(actors: readonly Actor[], before: ReadonlySet<string>): void {
    const isThere = (id: string) => this.#world.objects.has(`snapshots/${id}.json`)
    const named = actors.flatMap(({deletes = []}) => (deletes === 'any' ? [] : deletes))
    for (const id of named) if (!isThere(id)) this.#model.delete(id)
    const least = Math.min(...actors.flatMap(({keeps}) => keeps ?? []))
    const left = snapshotsIn(this.#world).length + named.length
    if (least === Infinity) return
    if (left < Math.min(least, before.size)) throw this.#error(`a prune left ${left}`)
    for (const id of before) if (!isThere(id)) this.#model.delete(id)
  }

  #check(): void {
    for (const [id, files] of this.#model) {
      const found = this.#read(id)
      if (JSON.stringify(found) !== JSON.stringify(sorted(files)))
        throw this.#error(
          `${id} holds ${JSON.stringify(found)} instead of ${JSON.stringify(sorted(files))}`,
        )
      this.tally.add('restores compared')
    }
    for (const id of snapshotsIn(this.#world)) {
      if (this.#late.has(id)) continue
      const damage = damageOf(this.#world, `snapshots/${id}.json`)
      if (damage !== undefined) throw this.#error(damage)
    }
  }

  /** All files of a snapshot, read by nobody's code but this. */
  #read(id: string): Files | string {
    const [world, key] = [this.#world, `snapshots/${id}.json`]
    const damage = world.objects.has(key) ? damageOf(world, key) : `${key} is gone`
    if (damage !== undefined) return damage
    const bytesOf = (name: string) => Buffer.from(world.objects.get(name)?.bytes ?? [])
    const {packs, segments} = parseManifest(bytesOf(key), key).index
    const keys = packsIn(world, packs.key)
    const lines = segments.flatMap((segment) =>
      gunzipSync(bytesOf(segment.key))
        .toString()
        .trimEnd()
        .split('\n')
        .slice(1)
        .map((line) => JSON.parse(line) as Line),
    )
    const chunks = lines.filter((line) => 'chunk' in line)
    const files = lines.flatMap((line) => {
      const chunk = chunks[line.extents?.[0]?.[1] ?? -1]
      if (line.entry !== 'file' || !chunk) return []
      const at = chunk.at + FRAME_HEAD
      const text = bytesOf(keys[chunk.pack]?.key ?? '')
        .subarray(at, at + chunk.raw)
        .toString()
      return [[line.path, hashOf(text) === chunk.hash ? text : `not what it was: ${text}`] as const]
    })
    return Object.fromEntries(files)
  }

  #error(what: string): Error {
    return new Error(`seed ${this.#dice.seed}, round ${this.#round}: ${what}`)
  }

  /** Spoils or drops an object that is needed: verify must say so. Then puts it back. */
  async #damage(): Promise<void> {
    const id = this.#model.size > 0 ? this.#dice.one([...this.#model.keys()]) : undefined
    if (id === undefined) return
    const key = `snapshots/${id}.json`
    const {groups, packs, segments} = parseManifest(
      this.#world.objects.get(key)?.bytes ?? Buffer.alloc(0),
      key,
    ).index
    const needed = [
      ...packsIn(this.#world, packs.key).map((pack) => pack.key),
      packs.key,
      ...segments.map((segment) => segment.key),
      ...(groups ? [groups.key, ...groupedIn(this.#world, groups.key).map((one) => one.key)] : []),
    ]
    const victim = this.#dice.one(needed)
    const held = this.#world.objects.get(victim)
    if (!held) throw new Error(`${victim} is gone`)
    if (this.#dice.isWithin(0.5)) this.#world.objects.delete(victim)
    else {
      const bytes = Uint8Array.from(held.bytes)
      const at = this.#dice.below(bytes.length)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << this.#dice.below(8))
      this.#world.objects.set(victim, {...held, bytes, digest: shortHash(bytes)})
    }
    this.tally.add(`fault: ${this.#world.objects.has(victim) ? 'spoilt' : 'dropped'} object`)
    if (!(await quickVerify(this.#world, key)))
      throw this.#error(`verify takes ${id} for whole without ${victim}`)
    this.tally.add('damage reported')
    this.#world.objects.set(victim, held)
  }

  /** What is left when everything is deleted, a day has passed and it is swept: nothing. */
  async garbage(): Promise<string[]> {
    const ids = snapshotsIn(this.#world)
    this.#world.now += 25 * 60 * MINUTE
    if (ids.length > 0) await alone(this.#world, removes('delete all', ...ids), this.#code)
    this.#world.now += 61 * MINUTE
    await alone(this.#world, sweeps('sweep all'), this.#code)
    return [...this.#world.objects.keys()].filter((key) => key !== 'dumont.json')
  }
}

interface Line {
  readonly entry?: string
  readonly path: string
  readonly extents?: readonly (readonly [number, number, number, number])[]
  readonly chunk?: number
  readonly at: number
  readonly raw: number
  readonly hash: string
  readonly pack: number
}

function snapshotsIn({objects}: World): string[] {
  return [...objects.keys()].flatMap((key) => /^snapshots\/(.+)\.json$/u.exec(key)?.[1] ?? [])
}

function sorted(files: Files): Files {
  return Object.fromEntries(
    Object.entries(files).toSorted(([one], [other]) => (one < other ? -1 : 1)),
  )
}
