import {join} from 'node:path'
import {startDumont, type Outcome} from '../e2e/dumont.js'
import {credentials} from '../e2e/operator.js'
import type {FaultyProxy} from '../support/faulty-proxy.js'
import type {Versitygw} from '../support/versitygw.js'
import type {Dice} from './dice.js'
import {commandLine, familyOf, whoStays} from './processes.js'
import type {Tally} from './tally.js'
import {trouble} from './trouble.js'

/**
 * How a command may end while the store misbehaves: never with a bug, never with a wrong word. 77: the store said that
 * the credentials have expired, or a key slot was altered on its way, twice.
 */
const IN_TROUBLE = [0, 65, 69, 75, 77]

export interface Surroundings {
  /** For everything it makes; empty. */
  readonly folder: string
  readonly home: string
  readonly server: Versitygw
  readonly proxy: FaultyProxy
  readonly isPatient: boolean
}

/** Runs `dumont snapshot …` on one store, in peace, in trouble, or until it is killed. */
export class Commands {
  readonly #dice: Dice
  readonly #tally: Tally
  readonly #at: Surroundings

  constructor(at: Surroundings, dice: Dice, tally: Tally) {
    this.#at = at
    this.#dice = dice
    this.#tally = tally
  }

  /** Runs a command while the store misbehaves, and counts what really went wrong. */
  async inTrouble(
    argv: readonly string[],
    rules = trouble(this.#dice, this.#at.isPatient),
  ): Promise<Outcome> {
    const {proxy} = this.#at
    proxy.clear()
    for (const rule of rules) proxy.inject(rule)
    try {
      return await this.run(argv, IN_TROUBLE)
    } finally {
      for (const {fault} of proxy.requests) if (fault) this.#tally.add(`fault: ${fault}`)
      proxy.clear()
    }
  }

  /** Kills one process of a command at some moment, or all of them as a reboot would; nothing of it may stay. */
  async killed(argv: readonly string[]): Promise<Outcome> {
    const running = startDumont(['snapshot', ...argv, '--json'], this.#surroundings())
    const pid = running.child.pid ?? 0
    // Half of the time it is let go on until there is more to kill.
    const looks = this.#dice.isWithin(0.5) ? 1000 : 0
    for (let look = 0; look < looks; look++) {
      if (running.child.exitCode !== null || workersOf(pid).length > 0) break
      await sleep(20)
    }
    await Promise.race([sleep(this.#dice.below(looks > 0 ? 1500 : 2500)), running.ended])
    const family = familyOf(pid)
    const [victims, role] = this.#victims(family)
    const alive = victims.filter((each) => commandLine(each).length > 0)
    for (const each of alive) process.kill(each, 'SIGKILL')
    const outcome = await running.ended
    if (alive.length > 0 && outcome.code !== 0) this.#tally.add(`fault: ${role} killed`)
    const left = await whoStays(family)
    if (left.length > 0) throw new Error(`still running: ${left.join('\n')}`)
    if (outcome.code !== null && ![0, 69, 70, 75].includes(outcome.code))
      throw new Error(`ended with ${outcome.code}: ${outcome.stdout} ${outcome.stderr}`)
    return outcome
  }

  #victims(family: readonly number[]): readonly [readonly number[], string] {
    const [command = 0] = family
    const workers = workersOf(command)
    if (this.#dice.isWithin(0.15)) return [family.toReversed(), 'everything']
    if (workers.length === 0 || this.#dice.isWithin(0.4)) return [[command], 'command']
    const victim = this.#dice.one(workers)
    return [[victim], commandLine(victim).includes('engine') ? 'engine' : 'worker']
  }

  async run(argv: readonly string[], codes: readonly number[]): Promise<Outcome> {
    const outcome = await startDumont(['snapshot', ...argv, '--json'], this.#surroundings()).ended
    if (!codes.includes(outcome.code ?? -1))
      throw new Error(
        `${argv.join(' ')} ended with ${outcome.code}: ${outcome.stdout} ${outcome.stderr}`,
      )
    this.#tally.add(`exit ${outcome.code}`)
    return outcome
  }

  #surroundings() {
    const {folder, server} = this.#at
    // Half of the seeds use a store that is encrypted.
    const env = {
      ...credentials(server),
      DUMONT_ENCRYPTION: String(this.#dice.seed % 2 === 0),
      TMPDIR: join(folder, 'tmp'),
    }
    return {env, home: this.#at.home}
  }

  store(): string[] {
    const {proxy, server} = this.#at
    return ['--store', `s3://${server.bucket}/engine`, '--endpoint', proxy.endpoint]
  }

  create(workspace: string): string[] {
    return ['create', '--host', 'local', ...this.store(), '--name', 'engine', workspace]
  }

  restore(id: string, target: string): string[] {
    return ['restore', id, '--host', 'local', ...this.store(), '--target', target]
  }
}

function workersOf(pid: number): number[] {
  return familyOf(pid)
    .slice(1)
    .filter((each) => commandLine(each).some((word) => word.includes('python')))
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
