import {createHash} from 'node:crypto'
import type {Clock} from '../../src/lib/clock.js'
import {DumontError} from '../../src/lib/errors.js'
import {absent} from '../../src/lib/store/collect.js'
import {pinOf} from '../../src/lib/store/pin.js'
import type {GetOptions, ObjectInfo, Pin, SignedRequest, Store} from '../../src/lib/store/store.js'

interface Held {
  readonly bytes: Uint8Array
  readonly modified: number
  readonly digest: string
}

/** What all actors of one run share: the objects and the time. Can be copied and told apart from others. */
export class World {
  now: number
  readonly objects: Map<string, Held>
  /** What was first stored under each key; nothing may ever lie there but that. */
  readonly first: Map<string, string>

  constructor(from?: World) {
    this.now = from?.now ?? Date.UTC(2026, 10, 23, 14)
    this.objects = new Map(from?.objects)
    this.first = new Map(from?.first)
  }

  put(key: string, bytes: Uint8Array): 'created' | 'exists' {
    if (this.objects.has(key)) return 'exists'
    const digest = shortHash(bytes)
    if (this.first.has(key)) throw new Error(`${key} was stored a second time`)
    this.first.set(key, digest)
    this.objects.set(key, {bytes: Uint8Array.from(bytes), modified: this.now, digest})
    return 'created'
  }

  /** The same for two worlds exactly if no actor can ever tell them apart. */
  fingerprint(): string {
    const objects = [...this.objects].map(
      ([key, {digest, modified}]) => `${key} ${digest} ${modified}`,
    )
    return shortHash(`${this.now} ${objects.toSorted().join()}`)
  }
}

/** What goes wrong: nothing happens; it happens but nobody hears of it; a byte that was read is another. */
export type Fault = 'altered' | 'refused' | 'unheard'
/** Waits until the scheduler lets this operation happen, and how. */
export type Gate = (operation: string) => Promise<Fault | undefined>
/** Told of everything the actor gets to see: together that decides what it does next. */
export type Witness = (seen: string) => void

/** The world as one actor sees it: each operation happens at once, but only when it is this actor's turn. */
export class ModelStore implements Store {
  readonly url = 'memory:'
  readonly reach = 'direct'
  readonly #world: World
  readonly #gate: Gate
  readonly #witness: Witness

  constructor(world: World, gate: Gate, witness: Witness) {
    this.#world = world
    this.#gate = gate
    this.#witness = witness
  }

  async put(key: string, body: Uint8Array) {
    return this.#do(`put ${key}`, () => {
      const outcome = this.#world.put(key, body)
      this.#witness(outcome)
      return outcome
    })
  }

  async get(key: string, {limit = Infinity}: GetOptions = {}) {
    return this.#do(`get ${key}`, (fault) => {
      const held = this.#world.objects.get(key)
      this.#witness(held?.digest ?? 'absent')
      if (!held) throw absent(key)
      if (held.bytes.length > limit) throw new Error(`${key} is longer than ${limit}`)
      return fault === 'altered' ? altered(held.bytes) : held.bytes
    })
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    return this.#do(`head ${key}`, () => {
      const held = this.#world.objects.get(key)
      this.#witness(held?.digest ?? 'absent')
      return held && {key, length: held.bytes.length, modified: held.modified, pins: pinsOf(held)}
    })
  }

  async *list(prefix: string): AsyncGenerator<ObjectInfo, void> {
    yield* await this.#do(`list ${prefix}`, () => {
      const found = [...this.#world.objects]
        .filter(([key]) => key.startsWith(prefix))
        .toSorted(([one], [other]) => (one < other ? -1 : 1))
        .map(([key, {bytes, modified}]) => ({key, length: bytes.length, modified}))
      this.#witness(found.map(({key, modified}) => `${key} ${modified}`).join())
      return found
    })
  }

  /** One by one: a store takes many at once, but promises nothing about what happens in between. */
  async remove(keys: readonly string[]) {
    for (const key of keys)
      await this.#do(`remove ${key}`, () => {
        this.#world.objects.delete(key)
      })
  }

  async sign({key, method}: {key: string; method: 'GET' | 'PUT'}): Promise<SignedRequest> {
    return {method, url: `https://store.invalid/${key}`, headers: {}}
  }

  async now() {
    this.#witness(`now ${this.#world.now}`)
    return this.#world.now
  }

  async close() {}

  async #do<T>(operation: string, act: (fault: Fault | undefined) => T): Promise<T> {
    const fault = await this.#gate(operation)
    if (fault === 'refused') throw new DumontError('STORE_BUSY', 'the store is busy')
    const done = act(fault)
    if (fault === 'unheard') throw new DumontError('UNREACHABLE', 'the answer never came')
    return done
  }
}

function altered(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes)
  const at = Math.floor(copy.length / 2)
  copy[at] = (copy[at] ?? 0) ^ 0x40
  return copy
}

/** The actor's own clock, which goes like the store's. */
export function clockOf(world: World, witness: Witness): Clock {
  return {
    now: () => {
      witness(`clock ${world.now}`)
      return world.now
    },
    sleep: () => Promise.reject(new Error('nobody sleeps here')),
  }
}

const known = new Map<string, readonly Pin[]>()

function pinsOf({bytes, digest}: Held): readonly Pin[] {
  const pins = known.get(digest) ?? [pinOf('crc32', bytes), pinOf('md5', bytes)]
  known.set(digest, pins)
  return pins
}

export function shortHash(bytes: string | Uint8Array): string {
  return createHash('sha1').update(bytes).digest('base64')
}
