import {createHash} from 'node:crypto'
import {isDumontError} from '../../src/lib/errors.js'
import type {Actor} from './actors.js'
import type {Code} from './code.js'
import {clockOf, ModelStore, shortHash, type Fault, type World} from './model-store.js'

/** An actor in the middle of its work. Nothing of it goes on unless its next operation is let through. */
interface Player {
  readonly actor: Actor
  readonly waiting: {readonly operation: string; readonly go: (fault?: Fault) => void}[]
  /** Of all it has seen; two that have seen the same do the same. */
  trace: string
  state: 'done' | 'killed' | 'playing'
  error?: unknown
  /** The snapshot whose manifest was on its way when time leapt. */
  overtaken?: string
}

/** Turns of the event loop that one operation may take before the actor counts as stuck. */
const PATIENCE = 1_000_000

export interface Rules {
  readonly code: Code
  readonly points: RegExp
}

/** One execution of several actors on one world, driven from outside operation by operation. */
export class Run {
  readonly world: World
  /** Snapshots of which an operator was told that they exist. */
  readonly acknowledged: string[] = []
  readonly #players: readonly Player[]

  /** Actors can be held up before operations that match `points`, and nowhere else. */
  constructor(world: World, actors: readonly Actor[], {code, points}: Rules) {
    this.world = world
    this.#players = actors.map((actor) => this.#enter(actor, code, points))
  }

  /** Lets everything come to rest that needs no operation. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < PATIENCE; turn++) {
      await new Promise((resolve) => setImmediate(resolve))
      if (this.#players.every(({state, waiting}) => state !== 'playing' || waiting.length > 0))
        return
    }
    throw new Error('an actor waits for something that is no operation')
  }

  /** Who could go on, and with what. */
  next(): ReadonlyMap<number, string> {
    return new Map(
      this.#players.flatMap(({state, waiting}, number) => {
        const [first] = waiting
        return state === 'playing' && first ? [[number, first.operation] as const] : []
      }),
    )
  }

  async step(player: number, fault?: Fault): Promise<void> {
    this.#players[player]?.waiting.shift()?.go(fault)
    await this.settle()
  }

  /** Time passes for everybody, also for what is on its way to the store. */
  leap(milliseconds: number): void {
    this.world.now += milliseconds
    for (const player of this.#players) {
      const id = /^put snapshots\/(.+)\.json$/u.exec(player.waiting[0]?.operation ?? '')?.[1]
      if (id !== undefined) player.overtaken = id
    }
  }

  /** As by `kill -9`: what it waits for never comes. */
  kill(player: number): void {
    const one = this.#players[player]
    if (one) one.state = 'killed'
  }

  /** What each actor ended with; undefined for those that succeeded or were killed. */
  failures(): readonly {readonly actor: Actor; readonly error: unknown}[] {
    return this.#players.flatMap(({actor, error}) => (error ? [{actor, error}] : []))
  }

  actors(): readonly Pick<Player, 'actor' | 'overtaken' | 'state'>[] {
    return this.#players
  }

  /** The same for two runs exactly if they can only go on in the same ways. */
  fingerprint(): string {
    const players = this.#players.map(({state, trace}) => `${state} ${trace}`)
    return shortHash(`${this.world.fingerprint()} ${players.join()}`)
  }

  #enter(actor: Actor, code: Code, points: RegExp): Player {
    const player: Player = {actor, waiting: [], trace: '', state: 'playing'}
    const witness = (seen: string) => {
      player.trace = shortHash(`${player.trace} ${seen}`)
    }
    const gate = (operation: string) =>
      new Promise<Fault | undefined>((resolve) => {
        const go = (fault?: Fault) => {
          witness(operation)
          resolve(fault)
        }
        if (points.test(operation)) player.waiting.push({operation, go})
        else if (player.state === 'playing') go()
      })
    const store = new ModelStore(this.world, gate, witness)
    let drawn = 0
    const service = {
      store,
      clock: clockOf(this.world, witness),
      random: (count: number) =>
        createHash('sha512').update(`${actor.name} ${drawn++}`).digest().subarray(0, count),
      stateDir: '/nonexistent/dumont-interleaving',
      report: () => {},
      version: '0.1.0',
    }
    const acknowledge = (id: string) => this.acknowledged.push(id)
    actor.run({acknowledge, code, service}).then(
      () => (player.state = 'done'),
      (error: unknown) => {
        player.state = 'done'
        player.error = error
        // To be refused is fine; to lose something is not.
        if (!isDumontError(error)) throw error
      },
    )
    return player
  }
}
