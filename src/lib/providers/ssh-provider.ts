import type {Clock} from '../clock.js'
import type {DestroyProof} from './destroy-proof.js'
import {goneInstance} from './gone-instance.js'
import {redact} from './http.js'
import {type CommandOutcome, runOperatorCommand} from './operator-command.js'
import type {Capabilities, Endpoint, Instance, Phase, Provider} from './provider.js'
import {ProviderError, type ProviderFailure} from './provider-error.js'
import {requireProof} from './require-proof.js'

const NAME = 'ssh'
const ASK_MS = 60_000
const ACT_MS = 10 * 60_000
const ANSWERS: Readonly<Record<string, Phase>> = {
  running: 'running',
  stopped: 'stopped',
  gone: 'gone',
}

/** One machine that the operator described; the commands are the operator's own lines for /bin/sh. */
export interface OwnInstance {
  /** As `--host` takes it. */
  readonly host: string
  /** Prints `running`, `stopped` or `gone` and ends with 0. */
  readonly exists?: string | undefined
  readonly start?: string | undefined
  readonly stop?: string | undefined
  readonly destroy?: string | undefined
}

export interface SshProviderOptions {
  readonly instances: Readonly<Record<string, OwnInstance>>
  readonly clock: Clock
  readonly run?: typeof runOperatorCommand
}

/**
 * Machines that dumont can neither rent nor look up: they are what the configuration says. Each command gets
 * `{operation, name, host}` as JSON on its standard input. A machine counts as gone when its `exists` command says so, and in no
 * other way: one that cannot be reached may be running and costing. Stopping is taken to empty it, since nobody says otherwise.
 */
export class SshProvider implements Provider {
  readonly name = NAME
  readonly capabilities: Capabilities
  readonly #instances: Readonly<Record<string, OwnInstance>>
  readonly #clock: Clock
  readonly #run: typeof runOperatorCommand

  constructor({clock, instances, run = runOperatorCommand}: SshProviderOptions) {
    this.#instances = instances
    this.#clock = clock
    this.#run = run
    const all = Object.values(instances)
    this.capabilities = {
      search: false,
      create: false,
      stop: all.some(({stop}) => stop !== undefined),
      stopWipes: true,
      destroy: all.some(({destroy, exists}) => destroy !== undefined && exists !== undefined),
      spot: false,
      labels: false,
      attachKey: false,
      logs: false,
    }
  }

  /** Names are this operator's: there is no account behind them. */
  async whoami() {
    return {account: 'configuration'}
  }

  async list({label}: {readonly label?: string} = {}, signal?: AbortSignal) {
    const names = Object.keys(this.#instances).filter(
      (name) => label === undefined || name === label,
    )
    const found: Instance[] = []
    for (const name of names) found.push(await this.get(name, signal))
    return found
  }

  /** Without an `exists` command the phase is `unknown`: whether the machine is there is seen by connecting. */
  async get(id: string, signal?: AbortSignal): Promise<Instance> {
    const own = this.#own(id)
    if (!own) return goneInstance(id, 'not in the configuration')
    const [phase, state] = await this.#ask(id, own, signal)
    return {
      ...goneInstance(id, state),
      label: id,
      phase,
      endpoints: phase === 'gone' || phase === 'stopped' ? [] : [endpointOf(own)],
    }
  }

  async start(id: string, signal?: AbortSignal): Promise<void> {
    await this.#act('start', id, undefined, signal)
  }

  async stop(id: string, proof: DestroyProof | undefined, signal?: AbortSignal): Promise<void> {
    await this.#act('stop', id, () => this.#require(proof, id, 'stop'), signal)
  }

  async destroy(id: string, proof: DestroyProof, signal?: AbortSignal): Promise<void> {
    await this.#act('destroy', id, () => this.#require(proof, id, 'destroy'), signal)
  }

  async #ask(
    id: string,
    {exists, host}: OwnInstance,
    signal?: AbortSignal,
  ): Promise<readonly [Phase, string]> {
    if (exists === undefined) return ['unknown', 'not asked: no exists command']
    const data = {operation: 'exists', name: id, host}
    const outcome = await this.#run(exists, data, ASK_MS, signal)
    const answer = outcome.stdout.trim()
    const phase = Object.hasOwn(ANSWERS, answer) ? ANSWERS[answer] : undefined
    if (outcome.code === 0 && phase !== undefined) return [phase, answer]
    throw failure(
      'exists',
      'PROTOCOL',
      `${told(outcome)}, and said neither running, stopped nor gone`,
    )
  }

  /** A command that failed may have done half of its work: only looking again can tell. */
  async #act(
    operation: 'destroy' | 'start' | 'stop',
    id: string,
    allow: (() => void) | undefined,
    signal?: AbortSignal,
  ): Promise<void> {
    const own = this.#own(id)
    const command = own?.[operation]
    if (!own || command === undefined)
      throw failure(operation, 'INVALID', `the configuration has no ${operation} command for ${id}`)
    if (operation === 'destroy' && own.exists === undefined)
      throw failure(operation, 'INVALID', `nothing could tell whether ${id} is gone: add exists`)
    allow?.()
    const outcome = await this.#run(command, {operation, name: id, host: own.host}, ACT_MS, signal)
    if (outcome.code !== 0) throw failure(operation, 'AMBIGUOUS', told(outcome))
  }

  #own(id: string): OwnInstance | undefined {
    return Object.hasOwn(this.#instances, id) ? this.#instances[id] : undefined
  }

  #require(proof: DestroyProof | undefined, id: string, operation: string): void {
    requireProof(proof, {provider: NAME, id, operation}, this.#clock)
  }
}

/** The SSH configuration has the last word on user and port, unless the address says them. */
function endpointOf({host: address}: OwnInstance): Endpoint {
  const match = /^(?:ssh:\/\/)?(?:([^@]*)@)?(?:\[([^\]]+)\]|([^:/]+))(?::(\d{1,5}))?\/?$/u.exec(
    address,
  )
  return {
    host: match?.[2] ?? match?.[3] ?? address,
    port: Number(match?.[4] ?? 22),
    user: match?.[1] ?? 'root',
    via: 'direct',
    address,
  }
}

function told({code, stderr, timedOut}: CommandOutcome): string {
  const end = timedOut ? 'took too long' : `ended with ${code ?? 'a signal'}`
  const words = redact(stderr.trim().split('\n').at(-1) ?? '', [], 200)
  return words === '' ? `its command ${end}` : `its command ${end}: ${words}`
}

function failure(operation: string, kind: ProviderFailure, said: string): ProviderError {
  return new ProviderError(kind, {provider: NAME, operation}, said)
}
